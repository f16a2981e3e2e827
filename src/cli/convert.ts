/**
 * `webpeft convert`: any adapter that can be merged as a LoRA of a chosen rank, by the singular value decomposition of its delta. What trains of
 * the base itself (heads and other modules in full, biases) goes along.
 */
import { compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { truncatedSvd } from "../ir/svd.ts";
import { biasMode, siteKey } from "../methods/config/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import { saveAdapter } from "../runtime/files/adapter.ts";
import { toFloat32 } from "../runtime/files/tensor.ts";
import { readTextFiles } from "../runtime/files/text-files.ts";
import { chooseExecutor } from "../runtime/session/executor-choice.ts";
import { freshValues } from "../runtime/values/fresh.ts";
import { loadedValues } from "../runtime/values/loaded.ts";
import { mergedKeys, mergedNumbers, requireTrainedHead } from "../runtime/values/merge.ts";
import { writtenContent } from "../runtime/values/saved.ts";
import { compileSources, readSources, type SourceOptions } from "./common.ts";
import { emit, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { targetOn } from "./runs-on.ts";

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
  const { executor } = await chooseExecutor(options.device === "tfjs" ? "tfjs" : "cpu");
  const small = { batch: 1, length: 1, target: targetOn(executor) };
  const program = await compileSources(sources, options, { mode: "merge", ...small });
  const sink = new DiagnosticSink(options.strict ?? false);
  const values = await loadedValues(program, sources.model, sources.adapter!, sink);
  const changed = mergedKeys(program, values);
  const modules = program.model.modules.filter(({ path }) => program.adapter!.sites.includes(path));
  refuseOthers(program, modules, changed);
  refuseRank(modules, options.rank);
  requireTrainedHead(program, sources.model);
  const pairs = new Map<string, Float32Array>();
  let worst = 0;
  for (const module of modules) {
    const merged = await mergedNumbers(program, sources.model, executor, values, mergedKey(module, changed));
    const base = toFloat32(await sources.model.weights.read(module.weight!));
    const error = convertModule(module, options.rank, merged, base, pairs);
    worst = Math.max(worst, error);
    say(options, `${module.path}: relative error ${error.toExponential(2)}`);
  }
  const config = loraConfig(program, sources.config as Readonly<Record<string, unknown>>, modules, options.rank);
  const lora = await compile(sources.model, config, { mode: "infer", ...small });
  const fresh = await freshValues(lora, sources.model, 0);
  const copies = new Map<string, Float32Array>();
  for (const { key, copyOf } of lora.adapter!.tensors) {
    // The bias of an adapted module may be more than what trained.
    const isAdapted = copyOf !== undefined && modules.some(({ bias }) => bias === copyOf);
    const numbers = isAdapted
      ? await mergedNumbers(program, sources.model, executor, values, copyOf)
      : values.params.get(key);
    if (copyOf !== undefined && numbers !== undefined) copies.set(key, numbers);
  }
  const content = await writtenContent(lora, new Map([...fresh.params, ...pairs, ...copies]), fresh);
  const beside = await readTextFiles(sources.adapter!.tree);
  await saveAdapter(options.out, { ...content, beside }, { overwrite });
  say(options, `${options.out}: LoRA of rank ${options.rank}, largest relative error ${worst.toExponential(2)}`);
  emit(options, { type: "done", out: options.out, largest_relative_error: worst });
  return 0;
}

/** The config of the LoRA of these modules, with what the adapter's config says of its task and of what trains in full beside it. */
function loraConfig(
  { adapter, model }: Program,
  from: Readonly<Record<string, unknown>>,
  modules: readonly ModuleInfo[],
  rank: number,
): object {
  const isCausal = model.defaults.head.kind === "causal";
  const { task_type = null, auto_mapping = null, modules_to_save = null, ensure_weight_tying } = from;
  const bias = biasMode(String(adapter!.fields.bias ?? "none"));
  return {
    peft_type: "LORA",
    task_type: task_type ?? (isCausal ? "CAUSAL_LM" : null),
    r: rank,
    lora_alpha: rank,
    target_modules: modules.map(({ path }) => path),
    bias: bias === "targets" ? "lora_only" : bias,
    ...(auto_mapping === null ? {} : { auto_mapping }),
    ...(modules_to_save === null ? {} : { modules_to_save }),
    ...(ensure_weight_tying === true ? { ensure_weight_tying } : {}),
  };
}

/** Key of a module's merged weight: its own when it left a tie. */
function mergedKey({ path, weight }: ModuleInfo, changed: readonly string[]): string {
  const apart = `${path}.weight`;
  return changed.includes(apart) ? apart : weight!;
}

/** Throws `CONVERT-OTHER` when the adapter changes what no LoRA of its matrices can: norms, biases that do not train, both ends of a tie. */
function refuseOthers({ adapter, model }: Program, sites: readonly ModuleInfo[], changed: readonly string[]): void {
  const matrices = sites.filter(({ kind }) => kind === "linear" || kind === "embedding");
  const keys = matrices.map((module) => mergedKey(module, changed));
  const others = model.modules.filter((module) => !sites.includes(module));
  // The end that an adapter leaves alone has an output of its own, equal to the base.
  const left = others.map(({ path }) => `${path}.weight`).filter((key) => changed.includes(key));
  const copied = adapter!.tensors.flatMap(({ copyOf }) => copyOf ?? []);
  const other = changed.find((key) => ![...keys, ...left, ...copied].includes(key));
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

/** Throws `CONVERT-RANK` for a rank that no module can use: a matrix has no more than its smaller side. */
function refuseRank(modules: readonly ModuleInfo[], rank: number): void {
  const most = Math.max(...modules.map((module) => Math.min(module.in!, module.out!)));
  if (rank <= most) return;
  throw new WebpeftError("CONVERT-RANK", {
    message: "the rank is larger than that of any matrix that the adapter changes",
    where: "--rank",
    expected: `${most} at most`,
    got: String(rank),
  });
}

/** The transposed matrix, from its rows of the given width. */
const transposed = (matrix: Float64Array, rows: number, width: number): Float64Array =>
  Float64Array.from(matrix, (_x, i) => matrix[(i % rows) * width + Math.floor(i / rows)]!);

/** Puts the LoRA pair of one module into `pairs`; returns its relative error. */
function convertModule(
  module: ModuleInfo,
  rank: number,
  merged: Float32Array,
  base: Float32Array,
  pairs: Map<string, Float32Array>,
): number {
  const [out, width] = [module.out!, module.in!];
  const delta = Float64Array.from(merged, (x, i) => x - base[i]!);
  const isTable = module.kind === "embedding";
  const oriented = isTable || module.layout === "conv1d" ? transposed(delta, width, out) : delta;
  const { left, right, relativeError } = truncatedSvd(oriented, out, width, rank);
  const [a, b] = isTable ? ["lora_embedding_A", "lora_embedding_B"] : ["lora_A.weight", "lora_B.weight"];
  pairs.set(siteKey(module.path, a!), Float32Array.from(right));
  pairs.set(siteKey(module.path, b!), Float32Array.from(left));
  return relativeError;
}
