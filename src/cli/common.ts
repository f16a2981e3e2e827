/** What several commands do: read the model, the config or adapter, and compile. */
import { dirname, resolve } from "node:path";
import type { Target } from "../codegen/index.ts";
import { type CompileOptions, compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { reproductionOf } from "../compile/reproduction.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { fileNote } from "../methods/index.ts";
import type { HeadTask } from "../models/choose-head.ts";
import { present } from "../models/config.ts";
import { describeModel } from "../models/index.ts";
import type { AdapterConfigs } from "../program/index.ts";
import { loadTokenizer, type TextTokenizer } from "../runtime/data/tokenizer.ts";
import { type AdapterFiles, configsByName, configsOf, readAdapter, readExperts } from "../runtime/files/adapter.ts";
import { openFolder, readText } from "../runtime/files/folder.ts";
import { withHead } from "../runtime/files/fresh-head.ts";
import { type JsonObject, parseJsonObject } from "../runtime/files/json.ts";
import { loadModel, type Model } from "../runtime/files/model.ts";
import { fileSource } from "../runtime/files/source.ts";
import { readWholeText } from "../runtime/files/text.ts";
import type { DeviceName } from "../runtime/session/executor-choice.ts";
import type { Session } from "../runtime/session/session.ts";
import type { StartOptions } from "../runtime/session/start.ts";
import { withAdapterText } from "./adapter-text.ts";
import type { GlobalOptions } from "./global-options.ts";
import { initialTokens } from "./initial-tokens.ts";
import { memoryLine } from "./memory.ts";
import { say, warn } from "./output.ts";
import type { RunsOn } from "./runs-on.ts";

/** A command: returns the exit code, 0 when it returns nothing. */
export interface CommandModule {
  run(options: Record<string, unknown>): Promise<number | undefined>;
}

export interface SourceOptions extends GlobalOptions {
  readonly model: string;
  readonly config?: string;
  readonly adapter?: string;
  /** Folders of adapters that are mixed, by their names in the config. */
  readonly expert?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly strict?: boolean;
  readonly device: DeviceName;
  readonly seed?: number;
  /** The labels of a head that the model does not have, what it is for, and what its labels are. */
  readonly labels?: number | readonly string[];
  readonly head?: HeadTask;
  readonly problem?: string;
}

export interface Sources {
  readonly model: Model;
  /** The adapter's config; null for the base model alone. */
  readonly config: unknown;
  readonly adapter?: AdapterFiles;
  /** Adapters that the config names for mixing. */
  readonly experts?: ReadonlyMap<string, AdapterFiles>;
}

/** A text that the user named. Throws `FILE-NOT-FOUND`, `FILE-NOT-A-FILE`, `FILE-NOT-UTF8` and what reading throws. */
const readNamed = async (path: string): Promise<string> =>
  readWholeText(await fileSource(path), (line) => `${path}:${line}`);

const readConfig = async (path: string): Promise<JsonObject> => parseJsonObject(await readNamed(path), path);

/** `headersOnly`: see `LoadOptions`. */
export async function readSources(options: SourceOptions, headersOnly = false): Promise<Sources> {
  if (options.config !== undefined && options.adapter !== undefined) {
    throw new WebpeftError("CLI-SOURCES", { message: "give either --config or --adapter, not both" });
  }
  const loaded = await loadModel(options.model, { headersOnly });
  const given = { experts: options.expert ?? {} };
  if (options.adapter !== undefined) {
    const adapter = await readAdapter(options.adapter, given);
    const { config, experts } = adapter;
    const model = await headedModel(loaded, options, configsOf(adapter));
    return { model: withAdapterText(model, adapter.tree), config, adapter, ...(experts && { experts }) };
  }
  if (options.config === undefined) return { model: await headedModel(loaded, options, {}), config: null };
  const config = await readConfig(options.config);
  const model = await headedModel(loaded, options, { config });
  const experts = await readExperts(await openFolder(dirname(resolve(options.config))), config, given);
  return { model, config, ...(experts && { experts }) };
}

/** The model with the head that is asked for, and the token that its tokenizer pads with where a head of rows has to know it. */
async function headedModel(model: Model, options: SourceOptions, adapter: Partial<AdapterConfigs>): Promise<Model> {
  const { labels, head: task, problem, seed } = options;
  const headed = withHead(model, { labels, task, problem, seed }, adapter);
  if (headed === model || present(headed.config, "pad_token_id") !== undefined) return headed;
  if (headed.tree === undefined || (await headed.tree.open("tokenizer.json")) === undefined) return headed;
  const { padToken } = await modelTokenizer(headed);
  return padToken === undefined ? headed : { ...headed, config: { ...headed.config, pad_token_id: padToken } };
}

/** Compiles for a command, and for the target that it says; warnings go to stderr. */
export async function compileSources(
  sources: Sources,
  options: SourceOptions,
  compileOptions: CompileOptions & { readonly target: Target },
): Promise<Program> {
  const method =
    options.method === undefined ? {} : { method: await readNamed(options.method), methodFile: options.method };
  const tokens = sources.adapter === undefined ? await initialTokens(sources.model, sources.config) : undefined;
  const all: CompileOptions = {
    ...compileOptions,
    ...options.debug.passes(compileOptions.onPass),
    ...(tokens === undefined ? {} : { initialTokens: tokens }),
    ...method,
    strict: options.strict ?? false,
    experts: configsByName(sources.experts),
  };
  const config = sources.adapter ?? sources.config;
  options.failure.compiling(() => reproductionOf(sources.model, config, all), options.device);
  const program = await compile(sources.model, config, all);
  options.failure.compiled(program);
  options.debug.kernels(program);
  warn(program.diagnostics.filter((diagnostic) => diagnostic.severity === "warning"));
  return program;
}

/** Starts a session on an executor, and tells what it will take before anything is loaded. */
export async function startProgram(
  program: Program,
  sources: Sources,
  options: SourceOptions,
  { executor }: RunsOn,
  more: Pick<StartOptions, "fixed" | "reads" | "onForecast" | "onKernels"> = {},
): Promise<Session> {
  const sink = new DiagnosticSink(options.strict ?? false);
  const session = await program.start({
    device: executor,
    seed: options.seed ?? 0,
    sink,
    experts: Object.fromEntries(sources.experts ?? []),
    ...options.debug.kernels(program),
    onTarget: (target) => options.failure.runs(program, target),
    onForecast: (forecast) => say(options, memoryLine(forecast)),
    ...more,
    ...(sources.adapter === undefined ? {} : { adapter: sources.adapter }),
  });
  warn(sink.diagnostics.filter((diagnostic) => diagnostic.severity === "warning"));
  return session;
}

/** Says on stderr what others make of an adapter's file that was written. */
export function warnOfFile({ diagnostics }: Pick<Program, "diagnostics">): void {
  const notes = diagnostics.filter(({ code }) => code === fileNote);
  warn(notes.map((note) => ({ ...note, severity: "warning" })));
}

/** The tokenizer in the model's folder, or in that of its adapter. */
export async function modelTokenizer(model: Model): Promise<TextTokenizer> {
  const { tree } = model;
  return loadTokenizer(async (name) => (tree === undefined ? undefined : readText(tree, name)), model.name);
}

/** Tokens of a row when nothing is said: 128, or as many as the model takes. */
export function defaultLength(model: Model): number {
  return Math.min(128, describeModel(model.config).defaults.maximumLength);
}
