/** `webpeft init`: a fresh adapter in PEFT's format. Needs no device. */
import { type AdapterContent, saveAdapter } from "../runtime/files/adapter.ts";
import { prepareOutput } from "../runtime/files/output.ts";
import { freshValues, savedTensors } from "../runtime/initial.ts";
import { compileSources, readSources, type SourceOptions, warnOfFile } from "./common.ts";
import { emit, say } from "./output.ts";

interface InitOptions extends SourceOptions {
  readonly out: string;
  readonly overwrite?: boolean;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as InitOptions;
  const overwrite = options.overwrite ?? false;
  await prepareOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const program = await compileSources(sources, options, { mode: "infer", batch: 1, length: 1 });
  const plan = program.adapter!;
  const values = await freshValues(program, sources.model, options.seed ?? 0);
  const tensors = savedTensors(plan, values.params, values);
  await saveAdapter(
    options.out,
    { config: plan.savedConfig as AdapterContent["config"], floatFields: plan.floatFields, tensors },
    { overwrite },
  );
  warnOfFile(program);
  say(options, `${options.out}: ${plan.method} on ${plan.sites.length} modules, ${tensors.size} tensors`);
  emit(options, { type: "done", out: options.out, sites: plan.sites.length, tensors: tensors.size });
  return 0;
}
