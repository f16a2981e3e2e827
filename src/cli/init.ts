/** `webpeft init`: a fresh adapter in PEFT's format. Needs no device. */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import { wasmTargetHere } from "../runtime/executors/wasm/features.ts";
import { saveAdapter } from "../runtime/files/adapter.ts";
import { freshValues } from "../runtime/values/fresh.ts";
import { withExperts } from "../runtime/values/mixed.ts";
import { writtenContent } from "../runtime/values/saved.ts";
import { compileSources, readSources, type SourceOptions, warnOfFile } from "./common.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";

interface InitOptions extends SourceOptions {
  readonly out: string;
  readonly overwrite?: boolean;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as InitOptions;
  const overwrite = options.overwrite ?? false;
  await claimOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const program = await compileSources(sources, options, {
    mode: "infer",
    batch: 1,
    length: 1,
    target: wasmTargetHere(),
  });
  const plan = program.adapter!;
  const fresh = await freshValues(program, sources.model, options.seed ?? 0);
  const experts = Object.fromEntries(sources.experts ?? []);
  const values = await withExperts(program, sources.model, fresh, experts, new DiagnosticSink(options.strict ?? false));
  const content = await writtenContent(program, values.params, values);
  const count = content.tensors.size + (content.encoder?.size ?? 0);
  await saveAdapter(options.out, content, { overwrite });
  warnOfFile(program);
  say(options, `${options.out}: ${plan.method} on ${plan.sites.length} modules, ${count} tensors`);
  emit(options, { type: "done", out: options.out, sites: plan.sites.length, tensors: count });
  return 0;
}
