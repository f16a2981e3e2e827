/** `webpeft convert`: any adapter that can be merged as a LoRA of a chosen rank, by the singular value decomposition of its delta. */
import { compile } from "../compile.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { siteKey } from "../methods/config/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import { type AdapterContent, saveAdapter } from "../runtime/files/adapter.ts";
import { prepareOutput } from "../runtime/files/output.ts";
import { loadedValues } from "../runtime/initial.ts";
import { mergedNumbers } from "../runtime/merge.ts";
import { truncatedSvd } from "../runtime/svd.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../runtime/tensor.ts";
import { tfjsExecutor } from "../runtime/tfjs.ts";
import { compileSources, readSources, type SourceOptions } from "./common.ts";
import { emit, say } from "./output.ts";

interface ConvertOptions extends SourceOptions {
  readonly rank: number;
  readonly out: string;
  readonly overwrite?: boolean;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as ConvertOptions;
  const overwrite = options.overwrite ?? false;
  await prepareOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const program = await compileSources(sources, options, { mode: "merge", batch: 1, length: 1 });
  const values = await loadedValues(program, sources.adapter!.tensors, new DiagnosticSink(options.strict ?? false));
  const modules = program.model.modules.filter(({ path }) => program.adapter!.sites.includes(path));
  refuseBiases(
    modules,
    program.merge!().outputs.map((output) => output.name),
  );
  const executor = await tfjsExecutor();
  const tensors = new Map<string, HostTensor>();
  let worst = 0;
  for (const module of modules) {
    const merged = await mergedNumbers(program, sources.model, executor, values, module.weight!);
    const base = toFloat32(await sources.model.weights.read(module.weight!));
    const error = convertModule(module, options.rank, merged, base, tensors);
    worst = Math.max(worst, error);
    say(options, `${module.path}: relative error ${error.toExponential(2)}`);
  }
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: options.rank,
    lora_alpha: options.rank,
    target_modules: modules.map(({ path }) => path),
  };
  const lora = (await compile(sources.model, config, { mode: "infer", batch: 1, length: 1 })).adapter!;
  await saveAdapter(
    options.out,
    { config: lora.savedConfig as AdapterContent["config"], floatFields: lora.floatFields, tensors },
    { overwrite },
  );
  say(options, `${options.out}: LoRA of rank ${options.rank}, largest relative error ${worst.toExponential(2)}`);
  emit(options, { type: "done", out: options.out, largest_relative_error: worst });
  return 0;
}

function refuseBiases(modules: readonly ModuleInfo[], changed: readonly string[]): void {
  const bias = modules.find((module) => module.bias !== undefined && changed.includes(module.bias));
  if (bias === undefined) return;
  throw new WebpeftError("CONVERT-BIAS", {
    message: "the adapter changes a bias, which a LoRA cannot",
    where: bias.bias!,
    help: "merge it instead",
  });
}

/** Puts the LoRA pair of one module into `tensors`; returns its relative error. */
function convertModule(
  module: ModuleInfo,
  rank: number,
  merged: Float32Array,
  base: Float32Array,
  tensors: Map<string, HostTensor>,
): number {
  const [out, width] = [module.out!, module.in!];
  const delta = Float64Array.from(merged, (x, i) => x - base[i]!);
  const oriented =
    module.layout === "linear"
      ? delta
      : Float64Array.from(delta, (_x, i) => delta[(i % width) * out + Math.floor(i / width)]!);
  const { left, right, relativeError } = truncatedSvd(oriented, out, width, rank);
  tensors.set(siteKey(module.path, "lora_A.weight"), hostTensor("F32", [rank, width], Float32Array.from(right)));
  tensors.set(siteKey(module.path, "lora_B.weight"), hostTensor("F32", [out, rank], Float32Array.from(left)));
  return relativeError;
}
