/**
 * Everything that the compiler made of a program, as text files by name. The dump is the program: `plan.json`, `kernels/*.wgsl` and the
 * tensors of the model and the adapter are all that a replayer needs (`examples/replay.mjs`).
 */
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import type { AdapterTensor, ProgramStorage } from "../program.ts";
import type { Program } from "../program-object.ts";
import { reportPage } from "./report.ts";

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

const fileOf = (kernel: string): string => `kernels/${kernel}.wgsl`;

/** A tensor that is made on the host and is in no file; `data` is base64 of its little-endian 32-bit numbers. */
interface PlannedTable {
  readonly name: string;
  readonly dtype: "f32" | "i32";
  readonly data: string;
}

/** The plan of codegen with what a replayer needs beside it. */
export interface PlanFile {
  readonly kernels: readonly { readonly name: string; readonly file: string; readonly entry: "main" }[];
  /** Where parameters, gradients, moments and the status are: slices in f32 elements, as in `src/program.ts`. */
  readonly storage: ProgramStorage;
  readonly tables: readonly PlannedTable[];
}

function base64(data: Float32Array | Int32Array): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

function tables({ adapter }: Program): PlannedTable[] {
  if (adapter === undefined) return [];
  const inFile = new Set(adapter.tensors.filter((t: AdapterTensor) => t.saved).map((t) => t.key));
  return [...adapter.data]
    .filter(([name]) => !inFile.has(name))
    .map(([name, data]) => ({ name, dtype: data instanceof Int32Array ? "i32" : "f32", data: base64(data) }));
}

function planFile(program: Program): string {
  const { batch, length, mode, storage, plan, kernels } = program;
  const extra: PlanFile = {
    kernels: kernels.map(({ name }) => ({ name, file: fileOf(name), entry: "main" })),
    storage,
    tables: tables(program),
  };
  return json({ mode, batch, length, ...extra, ...plan });
}

/** The merge stage, where the method has one: virtual tokens are no part of the weights. */
function mergeGraph({ merge }: Program): Record<string, Graph> {
  try {
    return merge === undefined ? {} : { merge: merge() };
  } catch (error) {
    if (error instanceof WebpeftError && error.code === "MERGE-METHOD") return {};
    throw error;
  }
}

function graphs(program: Program): Record<string, Graph> {
  const stages = Object.fromEntries(program.stages.map(({ name, graph }) => [name, graph]));
  return {
    operator: program.graph("operator"),
    ...stages,
    ...mergeGraph(program),
    ...(program.init === undefined ? {} : { init: program.init() }),
  };
}

/** The files of `webpeft inspect` by name; needs no device. `graph.*.ir` parse back to the graphs of the main stage. */
export function inspectionFiles(program: Program): Map<string, string> {
  const { kernels } = program;
  return new Map([
    ["graph.operator.ir", program.print("operator")],
    ["graph.tensor.ir", program.print("tensor")],
    ["graph.kernel.ir", program.print("kernel")],
    ["graph.json", json(graphs(program))],
    ["graph.dot", program.toDot("tensor")],
    ...kernels.map(({ name, wgsl }): [string, string] => [fileOf(name), wgsl]),
    ["kernels.json", json(kernels.map(({ wgsl: _wgsl, ...kernel }) => ({ ...kernel, file: fileOf(kernel.name) })))],
    ["plan.json", planFile(program)],
    ["timeline.json", json(program.timeline)],
    ["report.html", reportPage(program)],
  ]);
}
