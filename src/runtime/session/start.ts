/** Starts sessions: reads or draws the adapter's values, uploads, derives what depends on frozen weights only. */
import type { Target } from "../../codegen/index.ts";
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { portRole, ports } from "../../ir/graph.ts";
import type { Methods } from "../../methods/registry.ts";
import type { AdapterConfigs, CompiledProgram } from "../../program/index.ts";
import type { OpenDevice } from "../device/index.ts";
import type { Executor, Instance, InstantiateOptions, PortSource, Reads } from "../executors/executor.ts";
import { withParameterStages } from "../executors/parameter-stages.ts";
import { selfTest } from "../executors/self-test.ts";
import { wasmExecutor } from "../executors/wasm/executor.ts";
import { type AdapterFiles, configsOf, type ExpertSources, isRead, readAdapter } from "../files/adapter.ts";
import type { FolderSource } from "../files/folder.ts";
import type { Model } from "../files/model.ts";
import { checkFinite } from "../files/tensor.ts";
import { anything, type Check, type Checks, callable, checkOptions, list, record, seed, signal } from "../options.ts";
import { withBaseOf, wouldRound } from "../values/base-tensors.ts";
import { freshValues, type GivenValues, withGiven } from "../values/fresh.ts";
import { loadedValues } from "../values/loaded.ts";
import { type MergeOptions, withMergeOptions } from "../values/merge-options.ts";
import { withExperts } from "../values/mixed.ts";
import { toProgram } from "../values/rank-padding.ts";
import type { AdapterValues, LoadedProgram } from "../values/values.ts";
import { SessionAdapters } from "./adapters.ts";
import { chooseExecutor, type DeviceName, deviceNames } from "./executor-choice.ts";
import { forecastSession, type MemoryForecast } from "./memory.ts";
import { Session } from "./session.ts";
import { configsIn } from "./together.ts";

export interface StartOptions extends InstantiateOptions {
  readonly device?: DeviceName | OpenDevice | Executor;
  /** The model that the program was compiled for, for callers who say it again; another one is an error. */
  readonly model?: Model;
  /** A trained adapter: a folder, or one that was read; fresh values otherwise. */
  readonly adapter?: FolderSource | AdapterFiles;
  /** Adapters that it mixes, by the names that its config gives them; those of the adapter's folder unless given. */
  readonly experts?: ExpertSources;
  /** First values of a fresh adapter, by the keys of its file; the others are drawn. SHiRA's `shira_indices` are a mask of one's own. */
  readonly initial?: GivenValues;
  /** For a program that was compiled with `asMerged`: what `session.merge` would be given. */
  readonly fixed?: MergeOptions;
  /** Seed of fresh values and of dropout; 0 unless given. */
  readonly seed?: number;
  /** Told what the session will take before anything is loaded; never called where the executor cannot tell. */
  readonly onForecast?: (forecast: MemoryForecast) => void;
  /** Told what kernels are made for: the device that runs them. Never called where the executor runs none of them (`tfjs`, `reference`). */
  readonly onTarget?: (target: Target) => void;
  /** What it will be asked for, for the forecast: the loss of a training and its parameters, or else the results of a forward pass. */
  readonly reads?: Reads;
  /** Takes warnings about the adapter's file. */
  readonly sink?: DiagnosticSink | undefined;
}

export const deviceCheck: Check = (value) =>
  deviceNames.includes(value as DeviceName) ||
  (typeof value === "object" && value !== null && ("instantiate" in value || "device" in value))
    ? undefined
    : `${deviceNames.join(", ")}, an open device or an executor`;

const checks: Checks<StartOptions> = {
  device: deviceCheck,
  model: record,
  adapter: anything,
  experts: record,
  initial: record,
  fixed: record,
  seed,
  sink: record,
  signal,
  onProgress: callable,
  generated: callable,
  onKernels: callable,
  measures: callable,
  onForecast: callable,
  onTarget: callable,
  reads: list,
};

/** `model`: the program's. Throws `SESSION-OPTION`. */
function checkStart(options: StartOptions, model: Model): void {
  checkOptions(options, checks, "SESSION-OPTION");
  if (options.model === undefined || options.model === model) return;
  throw new WebpeftError("SESSION-OPTION", {
    message: "the program was compiled for another model",
    where: "model",
    expected: model.name,
    got: options.model.name,
    help: "compile the model that is to be run",
  });
}

/** The options with their adapter read. */
async function withAdapter(options: StartOptions): Promise<StartOptions> {
  const { adapter, experts = {} } = options;
  if (adapter === undefined || isRead(adapter)) return options;
  return { ...options, adapter: await readAdapter(adapter, { experts }) };
}

/**
 * The program, and how it is instantiated. Where it would round tensors of the base that the adapter's file holds it is another one, which
 * knows of them, and what was generated of the first is not for it.
 */
async function knowing(
  program: CompiledProgram,
  { model, compile }: SessionSource,
  options: StartOptions,
): Promise<{ readonly program: CompiledProgram; readonly how: InstantiateOptions }> {
  const { adapter } = options;
  if (adapter === undefined || !isRead(adapter)) return { program, how: options };
  const { held } = configsOf(adapter);
  if (held === undefined || !wouldRound(program, model, held)) return { program, how: options };
  const { generated: _ofTheFirst, ...how } = options;
  return { program: await compile([{ ...configsIn(program), held }]), how };
}

async function values(program: CompiledProgram, model: Model, options: StartOptions): Promise<AdapterValues> {
  const { fixed } = options;
  const made = await adapterValues(program, model, options);
  return fixed === undefined ? made : withMergeOptions(program, made, fixed);
}

async function adapterValues(program: CompiledProgram, model: Model, options: StartOptions): Promise<AdapterValues> {
  const { adapter: source, experts = {}, seed = 0, sink = new DiagnosticSink() } = options;
  if (source === undefined) {
    const fresh = withGiven(program.adapter, await freshValues(program, model, seed), options.initial ?? {});
    return withExperts(program, model, fresh, experts, sink);
  }
  const adapter = isRead(source) ? source : await readAdapter(source, { experts });
  const own = { ...(await loadedValues(program, model, adapter, sink)), tree: adapter.tree };
  return withExperts(program, model, own, { ...Object.fromEntries(adapter.experts ?? []), ...experts }, sink);
}

/** The data behind the ports of a program: the adapter's values, and the model's weights when their turn comes. */
function portData({ program, values }: LoadedProgram, source: Model): Map<string, PortSource> {
  const { buffers, params } = values;
  const model = withBaseOf(source, values);
  const data = new Map<string, PortSource>(buffers);
  for (const [key, numbers] of params) data.set(key, toProgram(program.adapter, key, numbers));
  for (const stage of program.stages) {
    for (const { name, node } of ports(stage.graph)) {
      if (portRole(node) !== "weight") continue;
      data.set(name, async () => {
        const tensor = await model.weights.read(name);
        checkFinite(name, tensor, model.name);
        return tensor;
      });
    }
  }
  return data;
}

/** What a session needs beside its first program. */
export interface SessionSource {
  readonly model: Model;
  /** What its adapters' configs may be for. */
  readonly methods: Methods;
  /** Compiles other adapters' configs (none, one, or several in use together) for the same model, shapes and mode. */
  readonly compile: (adapters: readonly AdapterConfigs[]) => Promise<CompiledProgram>;
}

/** Starts a session. Throws `WebpeftError`; what was allocated until then is freed. */
export async function startSession(
  compiled: CompiledProgram,
  source: SessionSource,
  given: StartOptions = {},
): Promise<Session> {
  const { model, methods, compile } = source;
  checkStart(given, model);
  const options = await withAdapter(given);
  const { executor, release } = await chooseExecutor(options.device ?? "auto", { signal: options.signal });
  const { onKernels, measures, onForecast, onTarget, reads } = options;
  if (executor.target !== undefined) onTarget?.(executor.target);
  const measuring: InstantiateOptions = { ...(onKernels && { onKernels }), ...(measures && { measures }) };
  const instantiate = async (loaded: LoadedProgram, how: InstantiateOptions): Promise<Instance> => {
    const instance = await executor.instantiate(loaded.program, portData(loaded, model), how);
    if (loaded.program.stages.some((stage) => stage.name === "prepare")) await instance.run(["prepare"], {});
    return withParameterStages(loaded.program, instance);
  };
  try {
    const { program, how } = await knowing(compiled, source, options);
    const forecast = onForecast && (await forecastSession(executor, program, model, reads, how));
    if (forecast !== undefined) onForecast!(forecast);
    const first = { program, values: await values(program, model, options) };
    await selfTest(executor);
    const entry = { ...first, instance: await instantiate(first, how), step: 0 };
    const adapters = new SessionAdapters(entry, {
      read: async (source) => {
        const adapter = source === null || isRead(source) ? source : await readAdapter(source);
        const other = await compile(adapter === null ? [] : [configsOf(adapter)]);
        const given = adapter === null ? {} : { adapter };
        return { program: other, values: await values(other, model, { ...given, sink: options.sink }) };
      },
      together: compile,
      instantiate: (loaded) => instantiate(loaded, measuring),
    });
    // Drivers of WebGPU would compile kernels for every tensor.
    const mergeExecutor = executor.name === "tfjs" ? executor : wasmExecutor();
    return new Session({ adapters, model, methods, executor, mergeExecutor, seed: options.seed ?? 0, release });
  } catch (error) {
    release();
    throw error;
  }
}
