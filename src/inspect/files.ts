/**
 * Everything that the compiler made of a program, as text files by name. The dump is the program: `plan.json`, `kernels/*.wgsl` and the
 * tensors of the model and the adapter are all that a replayer needs (`examples/replay.mjs`). For processors the module that they run stands
 * beside, `kernels.wat`.
 */
import { type Generated, isForProcessors } from "../codegen/index.ts";
import { programText } from "../codegen/wasm/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import type { AdapterTensor, ProgramStorage } from "../program/index.ts";
import type { Measurement } from "../program/measurement.ts";
import { kernelHeaders } from "./kernel-header.ts";
import { kernelTimes } from "./measured.ts";
import { type ReportOptions, reportPage } from "./report.ts";
import { timelineFile } from "./timeline.ts";
import type { InspectedProgram } from "./views.ts";

/** The version of what `docs/dump.md` describes; a field that is added does not change it. */
export const dumpVersion = 2;

/** A file. */
export const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

const fileOf = (kernel: string): string => `kernels/${kernel}.wgsl`;

/** A tensor that is made on the host and is in no file; `data` is base64 of its little-endian 32-bit numbers. */
interface PlannedTable {
  readonly name: string;
  readonly dtype: "f32" | "i32";
  readonly data: string;
}

/** The plan of codegen with what a replayer needs beside it. */
interface PlanFile {
  readonly kernels: readonly { readonly name: string; readonly file: string; readonly entry: "main" }[];
  /** Where parameters, gradients, moments and the status are: slices in f32 elements, as in `src/program/`. */
  readonly storage: ProgramStorage;
  readonly tables: readonly PlannedTable[];
  /** What is in memory between the dispatches of every stage, when and why; a replayer needs none of it. */
  readonly values: Generated["values"];
}

function base64(data: Float32Array | Int32Array): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

function tables({ adapter }: InspectedProgram): PlannedTable[] {
  if (adapter === undefined) return [];
  const inFile = new Set(adapter.tensors.filter((t: AdapterTensor) => t.saved).map((t) => t.key));
  return [...adapter.data]
    .filter(([name]) => !inFile.has(name))
    .map(([name, data]) => ({ name, dtype: data instanceof Int32Array ? "i32" : "f32", data: base64(data) }));
}

function planFile(program: InspectedProgram): string {
  const { batch, length, mode, storage, plan, kernels, generated } = program;
  const extra: PlanFile = {
    kernels: kernels.map(({ name }) => ({ name, file: fileOf(name), entry: "main" })),
    storage,
    tables: tables(program),
    values: generated.values,
  };
  return json({ version: dumpVersion, mode, batch, length, ...extra, ...plan });
}

/** Kernels without their texts; `milliseconds` of a step where they were measured. */
function kernelsFile(program: InspectedProgram, measured: Measurement | undefined): unknown[] {
  const times = measured === undefined ? undefined : kernelTimes(program, measured, program.stepStages);
  return program.kernels.map(({ wgsl: _wgsl, ...kernel }) => ({
    ...kernel,
    file: fileOf(kernel.name),
    ...(times === undefined ? {} : { milliseconds: times.get(kernel.name) ?? 0 }),
  }));
}

/** The merge stage, where the method has one: virtual tokens are no part of the weights. */
function mergeGraph({ merge }: InspectedProgram): Record<string, Graph> {
  try {
    return merge === undefined ? {} : { merge: merge() };
  } catch (error) {
    if (error instanceof WebpeftError && error.code === "MERGE-METHOD") return {};
    throw error;
  }
}

function graphs(program: InspectedProgram): Record<string, Graph> {
  const stages = Object.fromEntries(program.stages.map(({ name, graph }) => [name, graph]));
  return {
    operator: program.graph("operator"),
    ...stages,
    ...mergeGraph(program),
    ...(program.init === undefined ? {} : { init: program.init() }),
  };
}

export type FileOptions = Pick<ReportOptions, "pack" | "measured" | "compared">;

/** Makes one file, or gives nothing where it cannot be made and the others shall be. */
type Attempt = <T>(make: () => T) => T | undefined;

/**
 * All files by name; needs no device. `graph.*.ir` parse back to the graphs of the main stage. `pack` makes the report smaller; what
 * was `measured` stands in `measured.json`, `kernels.json` and the report, errors against f64 in `precision.json` and the report. Throws what making the kernels throws, unless `attempt` goes on.
 */
export function programFiles(
  program: InspectedProgram,
  options: FileOptions = {},
  attempt: Attempt = (make) => make(),
): Map<string, string> {
  const { measured, compared } = options;
  const files = new Map<string, string>();
  const add = (name: string, make: () => string): void => {
    const text = attempt(make);
    if (text !== undefined) files.set(name, text);
  };
  add("graph.operator.ir", () => program.print("operator"));
  add("graph.tensor.ir", () => program.print("tensor"));
  add("graph.kernel.ir", () => program.print("kernel"));
  add("graph.json", () => json(graphs(program)));
  add("graph.dot", () => program.toDot("tensor"));
  const headers = attempt(() => kernelHeaders(program));
  for (const { name, wgsl } of program.kernels) files.set(fileOf(name), `${headers?.get(name) ?? ""}${wgsl}`);
  if (isForProcessors(program.target)) add("kernels.wat", () => programText(program.generated, program.target));
  add("kernels.json", () => json(kernelsFile(program, measured)));
  add("plan.json", () => planFile(program));
  add("timeline.json", () => timelineFile(program.timeline));
  if (measured !== undefined) add("measured.json", () => json({ version: dumpVersion, ...measured }));
  if (compared !== undefined) add("precision.json", () => json({ version: dumpVersion, ...compared }));
  return files;
}

/** The files of `webpeft inspect` by name. Throws what making the kernels throws. */
export function inspectionFiles(program: InspectedProgram, options: FileOptions = {}): ReadonlyMap<string, string> {
  return programFiles(program, options).set("report.html", reportPage(program, options));
}
