/**
 * Finds what made a NaN or an infinity: the run is made again on its executor, one dispatch after the other, until one has stored the first;
 * then the nodes of that kernel alone are evaluated on what it read, and the first that f32 cannot hold is named.
 */
import { evaluateNodes, nodesBetween } from "../../ir/evaluate.ts";
import { type Graph, type Node, nodeName } from "../../ir/graph.ts";
import { flopsOf } from "../../ir/registry.ts";
import { largestFloat32, typeText } from "../../ir/types.ts";
import type { StageName } from "../../program/index.ts";
import type { GivenToKernel, NotFiniteOrigin, NumberRange } from "../../program/run-records.ts";
import type { Instance, RunInputs, TracedStep } from "../executors/executor.ts";
import { givenOf } from "./given.ts";
import { fieldsOf, NotFiniteError } from "./not-finite-error.ts";

/** A run as it was made. */
export interface RunAgain {
  readonly stages: readonly StageName[];
  readonly inputs: RunInputs;
  readonly want?: readonly string[];
}

export const isFiniteF32 = (x: number): boolean => Math.abs(x) <= largestFloat32;

const isFloat = ({ type }: Node): boolean => type.kind === "tensor" && type.dtype === "f32";

function rangeOf(node: string, data: ArrayLike<number>): NumberRange {
  let [least, most, notFinite] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (let i = 0; i < data.length; i++) {
    const x = data[i]!;
    if (!isFiniteF32(x)) notFinite++;
    else [least, most] = [Math.min(least, x), Math.max(most, x)];
  }
  return { node, least, most, notFinite, count: data.length };
}

/** Operations of a kernel up to which its nodes are evaluated one by one. */
const mostOperations = 2 ** 29;

const operationsOf = (graph: Graph, ids: readonly number[]): number =>
  ids.reduce((sum, id) => sum + flopsOf(graph, graph.nodes[id]!), 0);

/** Numbers of a node by its name. */
type Named = readonly [node: string, data: ArrayLike<number>];

/** A node whose numbers are not finite, with those that it was made of. */
export interface Suspect {
  readonly id: number;
  readonly data: ArrayLike<number>;
  readonly given: readonly Named[];
}

/** Of the nodes that a kernel computes on the way to what it stored, the first that is not finite. */
export function firstOfKernel(
  step: TracedStep,
  stored: number,
  read: ReadonlyMap<number, Float32Array>,
): Suspect | undefined {
  const { graph } = step;
  const ids = nodesBetween(graph, (id) => read.has(id), [stored]);
  const isPort = ids.some((id) => graph.nodes[id]!.op === "port" || graph.nodes[id]!.type.kind !== "tensor");
  if (isPort || operationsOf(graph, ids) > mostOperations) return undefined;
  for (const [id, { data }, given] of evaluateNodes(graph, ids, (input) => read.get(input))) {
    if (!isFloat(graph.nodes[id]!) || data.every(isFiniteF32)) continue;
    const { inputs } = graph.nodes[id]!;
    return { id, data, given: given.map((value, i) => [nodeName(graph, inputs[i]!), value.data]) };
  }
  return undefined;
}

/** What a step has read, by node. */
export async function readNumbers(step: TracedStep, without?: number): Promise<Map<number, Float32Array>> {
  const read = new Map<number, Float32Array>();
  for (const id of step.reads) if (id !== without) read.set(id, await step.numbers(id));
  return read;
}

/** A suspect as data; `part`: only these of the numbers are told of, in values that have as many as the suspect. */
export function originOf(step: TracedStep, { id, data, given }: Suspect, part = [0, data.length]): NotFiniteOrigin {
  const { graph, stage, dispatch } = step;
  const { scope, location, type } = graph.nodes[id]!;
  const node = nodeName(graph, id);
  const range = (name: string, all: ArrayLike<number>): NumberRange =>
    rangeOf(name, all.length === data.length ? Array.from(all).slice(...part) : all);
  return {
    ...{ stage, node, id, type: typeText(type), inputs: given.map(([name, all]) => range(name, all)) },
    ...(scope === undefined ? {} : { scope }),
    ...(location === undefined ? {} : { line: `${location.file}:${location.line}` }),
    ...(dispatch === undefined ? {} : { kernel: dispatch.kernel, dispatch: dispatch.at }),
    result: range(node, data),
  };
}

/** The place of the first number that is not finite, and what the kernel was given that stored it. */
interface Found {
  readonly origin: NotFiniteOrigin;
  readonly given?: GivenToKernel | undefined;
}

async function foundIn(
  step: TracedStep,
  id: number,
  run: { run: number; inputs: RunInputs },
): Promise<Found | undefined> {
  const { graph } = step;
  const data = await step.numbers(id);
  if (data.every(isFiniteF32)) return undefined;
  const read = await readNumbers(step, id);
  const bad = [...read].find(([own, numbers]) => isFloat(graph.nodes[own]!) && !numbers.every(isFiniteF32));
  if (bad !== undefined) return { origin: originOf(step, { id: bad[0], data: bad[1], given: [] }) };
  const named = [...read].map(([own, numbers]): Named => [nodeName(graph, own), numbers]);
  const suspect = firstOfKernel(step, id, read) ?? { id, data, given: named };
  return { origin: originOf(step, suspect), given: givenOf(step, { id, data }, read, run) };
}

/** The first number that is not finite when these runs are made again; undefined where all are finite, or nobody can look. */
async function firstFound(instance: Instance, runs: readonly RunAgain[]): Promise<Found | undefined> {
  let found: Found | undefined;
  for (const [run, { stages, inputs, want = [] }] of runs.entries()) {
    await instance.trace?.(stages, inputs, want, async (step) => {
      for (const id of step.stores) {
        if (!isFloat(step.graph.nodes[id]!)) continue;
        found = await foundIn(step, id, { run, inputs });
        if (found !== undefined) return false;
      }
      return true;
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Buffers that the optimizer changes. */
const stateBuffers = ["params", "moment1", "moment2"];

/**
 * The error for a step, counted from 0, whose loss or gradient was not finite; the message counts from 1. The runs begin with the parameters that the instance has now, and leave them, and
 * the moments, as they are.
 */
export async function firstNonFinite(
  instance: Instance,
  runs: readonly RunAgain[],
  step: number,
): Promise<NotFiniteError> {
  const state = await Promise.all(stateBuffers.map(async (name) => [name, await instance.read(name)] as const));
  const found = await firstFound(instance, runs).finally(() => {
    for (const [name, numbers] of state) instance.write(name, numbers);
  });
  const { origin } = found ?? {};
  const { message, ...fields } = fieldsOf(origin);
  return new NotFiniteError(
    "TRAIN-NOT-FINITE",
    {
      ...fields,
      message: `step ${step + 1} gave a loss or gradient that is not finite: ${message}`,
      help:
        step === 0
          ? "no parameter has changed yet: look at the base weights, the first values of the adapter, and the batch"
          : "use a smaller learning rate or --clip 1; the parameters are as they were before this step",
    },
    origin,
    found?.given,
  );
}

/** Throws `RESULT-NOT-FINITE` when a result of a run holds a NaN or an infinity, with the first operation that gave one. */
export async function checkResults(
  instance: Instance,
  run: RunAgain,
  results: Readonly<Record<string, Float32Array>>,
): Promise<void> {
  const broken = Object.entries(results).find(([, data]) => !data.every(Number.isFinite));
  if (broken === undefined) return;
  const [name, data] = broken;
  const { origin, given } = (await firstFound(instance, [run])) ?? {};
  const { message, where = name, got } = fieldsOf(origin);
  throw new NotFiniteError(
    "RESULT-NOT-FINITE",
    {
      message: `${name} holds numbers that are not finite: ${message}`,
      where,
      expected: "finite numbers",
      got: got ?? `${data.find((x) => !Number.isFinite(x))} in ${name}`,
      help: "The adapter's numbers, or the base model's, are too large or do not go together.",
    },
    origin,
    given,
  );
}
