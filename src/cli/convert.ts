/** `webpeft convert`: any adapter that can be merged as a LoRA of a chosen rank, by the singular value decomposition of its delta. */
import { compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { truncatedSvd } from "../ir/svd.ts";
import { siteKey } from "../methods/config/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import { type AdapterContent, saveAdapter } from "../runtime/files/adapter.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../runtime/files/tensor.ts";
import { readTextFiles } from "../runtime/files/text-files.ts";
import { chooseExecutor } from "../runtime/session/executor-choice.ts";
import { shapeInFile } from "../runtime/values/codecs/patch-form.ts";
import { loadedValues } from "../runtime/values/loaded.ts";
import { mergedKeys, mergedNumbers } from "../runtime/values/merge.ts";
import { compileSources, readSources, type SourceOptions } from "./common.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";

interface ConvertOptions extends SourceOptions {
  readonly rank: number;
  readonly out: string;
  readonly overwrite?: boolean;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as ConvertOptions;
  const overwrite = options.overwrite ?? false;
  await claimOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const program = await compileSources(sources, options, { mode: "merge", batch: 1, length: 1 });
  const sink = new DiagnosticSink(options.strict ?? false);
  const values = await loadedValues(program, sources.model, sources.adapter!, sink);
  const changed = mergedKeys(program, values);
  const modules = program.model.modules.filter(({ path }) => program.adapter!.sites.includes(path));
  refuseOthers(program, modules, changed);
  const { executor } = await chooseExecutor(options.device === "tfjs" ? "tfjs" : "cpu");
  const tensors = new Map<string, HostTensor>();
  let worst = 0;
  for (const module of modules) {
    const merged = await mergedNumbers(program, sources.model, executor, values, mergedKey(module, changed));
    const base = toFloat32(await sources.model.weights.read(module.weight!));
    const error = convertModule(module, options.rank, merged, base, tensors);
    worst = Math.max(worst, error);
    say(options, `${module.path}: relative error ${error.toExponential(2)}`);
  }
  const config = {
    peft_type: "LORA",
    task_type: program.model.defaults.head.kind === "causal" ? "CAUSAL_LM" : null,
    r: options.rank,
    lora_alpha: options.rank,
    target_modules: modules.map(({ path }) => path),
  };
  const lora = (await compile(sources.model, config, { mode: "infer", batch: 1, length: 1 })).adapter!;
  for (const { key, shape, patchForm } of lora.tensors)
    tensors.set(key, { ...tensors.get(key)!, shape: shapeInFile(shape, patchForm) });
  for (const { key, weight } of lora.frozen) tensors.set(key, await sources.model.weights.read(weight));
  await saveAdapter(
    options.out,
    {
      config: lora.savedConfig as AdapterContent["config"],
      floatFields: lora.floatFields,
      head: sources.model.head,
      tensors,
      beside: await readTextFiles(sources.adapter!.tree),
    },
    { overwrite },
  );
  say(options, `${options.out}: LoRA of rank ${options.rank}, largest relative error ${worst.toExponential(2)}`);
  emit(options, { type: "done", out: options.out, largest_relative_error: worst });
  return 0;
}

/** Key of a module's merged weight: its own when it left a tie. */
function mergedKey({ path, weight }: ModuleInfo, changed: readonly string[]): string {
  const apart = `${path}.weight`;
  return changed.includes(apart) ? apart : weight!;
}

/** Throws `CONVERT-OTHER` when the adapter changes what no LoRA of its matrices can: biases, norms, modules in full, both ends of a tie. */
function refuseOthers({ adapter, model }: Program, sites: readonly ModuleInfo[], changed: readonly string[]): void {
  const matrices = sites.filter(({ kind }) => kind === "linear" || kind === "embedding");
  const keys = matrices.map((module) => mergedKey(module, changed));
  const others = model.modules.filter((module) => !sites.includes(module));
  // The end that an adapter leaves alone has an output of its own, equal to the base.
  const left = others.map(({ path }) => `${path}.weight`).filter((key) => changed.includes(key));
  const copy = adapter!.tensors.find(({ copyOf }) => copyOf !== undefined);
  const other = copy?.copyOf ?? changed.find((key) => !keys.includes(key) && !left.includes(key));
  const tied = others.find(
    ({ path, weight }) => weight !== undefined && keys.includes(weight) && !left.includes(`${path}.weight`),
  );
  if (other === undefined && tied === undefined) return;
  throw new WebpeftError("CONVERT-OTHER", {
    message: "the adapter changes what a LoRA of its modules cannot",
    where: other ?? tied!.path,
    help: "merge it instead",
  });
}

/** The transposed matrix, from its rows of the given width. */
const transposed = (matrix: Float64Array, rows: number, width: number): Float64Array =>
  Float64Array.from(matrix, (_x, i) => matrix[(i % rows) * width + Math.floor(i / rows)]!);

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
  const isTable = module.kind === "embedding";
  const oriented = isTable || module.layout === "conv1d" ? transposed(delta, width, out) : delta;
  const { left, right, relativeError } = truncatedSvd(oriented, out, width, rank);
  const [a, b] = isTable ? ["lora_embedding_A", "lora_embedding_B"] : ["lora_A.weight", "lora_B.weight"];
  tensors.set(siteKey(module.path, a!), hostTensor("F32", [rank, width], Float32Array.from(right)));
  tensors.set(siteKey(module.path, b!), hostTensor("F32", [out, rank], Float32Array.from(left)));
  return relativeError;
}
