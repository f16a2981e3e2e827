/** Graphs and numbers for executor tests. */
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { OpRecord, OpSample } from "../../src/ir/op-record.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { expandRules } from "../../src/passes/simplify.ts";
import type { ExecutableProgram, ProgramStorage, StageName } from "../../src/program/index.ts";
import type { Executor, RunInputs } from "../../src/runtime/executors/executor.ts";

/** Reproducible numbers in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Numbers of a type in a closed range; integers for integer types, both booleans for bool. */
export function randomData(type: TensorType, range: readonly [number, number], random: () => number): Float32Array {
  const [low, high] = range;
  const integers = type.dtype === "i32" || type.dtype === "u32" || type.dtype === "bool";
  return Float32Array.from({ length: sizeOf(type.shape) }, () =>
    integers ? low + Math.floor(random() * (high - low + 1)) : low + random() * (high - low),
  );
}

/** A graph with one input port per operand of the sample and the output `y`: the op, or what a composite op is made of. */
export function sampleGraph(record: OpRecord, sample: OpSample): Graph {
  const k = new Builder(record.name);
  const inputs = sample.inputs.map((type, i) => k.port(`x${i}`, "input", type.dtype, type.shape));
  return rewrite(k.finish([{ name: "y", node: k.add(record.name, inputs, sample.attributes) }]), expandRules).graph;
}

export function sampleInputs(sample: OpSample, random: () => number): Record<string, Float32Array> {
  return Object.fromEntries(
    sample.inputs.map((type, i) => [`x${i}`, randomData(type, sample.ranges?.[i] ?? [-1, 1], random)]),
  );
}

export const noStorage: ProgramStorage = { buffers: [], bindings: {} };

export function programOf(
  graphs: Partial<Record<StageName, Graph>>,
  storage: ProgramStorage = noStorage,
): ExecutableProgram {
  const stages = Object.entries(graphs).map(([name, graph]) => ({ name: name as StageName, graph: graph as Graph }));
  return { stages, storage };
}

/** Largest difference, relative to the largest number of the reference (or 1). */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [largest, scale] = [0, 1];
  for (let i = 0; i < a.length; i++) {
    const gap = Math.abs(a[i]! - b[i]!);
    if (!(gap <= largest)) largest = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap;
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return largest / scale;
}

/** All outputs of a graph that is run once. */
export async function runOnce(
  executor: Executor,
  graph: Graph,
  inputs: RunInputs,
): Promise<Record<string, Float32Array>> {
  const instance = await executor.instantiate(programOf({ forward: graph }), new Map());
  try {
    return await instance.run(
      ["forward"],
      inputs,
      graph.outputs.map((o) => o.name),
    );
  } finally {
    instance.dispose();
  }
}
