/** Small tools of the model tests: a reader of trusted safetensors files, seeded numbers, and the way from a model to numbers in f64. */
import { readFileSync } from "node:fs";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, ports } from "../../src/ir/graph.ts";
import type { Value } from "../../src/ir/op-record.ts";
import { openUniform, threefry } from "../../src/ir/threefry.ts";
import { sizeOf } from "../../src/ir/types.ts";
import { associate } from "../../src/passes/associate.ts";
import { attach } from "../../src/passes/attach.ts";

const fixture = (path: string): URL => new URL(`../fixtures/golden/${path}`, import.meta.url);

export const readJson = (path: string): Record<string, unknown> => JSON.parse(readFileSync(fixture(path), "utf8"));

/** Tensors of a file of ours, as numbers. */
export function readTensors(path: string): Record<string, ArrayLike<number>> {
  const bytes = readFileSync(fixture(path));
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; data_offsets: [number, number] }> = JSON.parse(
    bytes.toString("utf8", 8, start),
  );
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(
    tensors.map(
      ([
        name,
        {
          dtype,
          data_offsets: [from, to],
        },
      ]) => {
        const data = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to);
        if (dtype === "F32") return [name, new Float32Array(data)];
        if (dtype === "I64") return [name, Array.from(new BigInt64Array(data), Number)];
        throw new Error(`${name} is ${dtype}`);
      },
    ),
  );
}

/** Numbers in [-scale, scale] that depend on `seed` and the place only. */
export const randomNumbers = (count: number, seed: number, scale = 1): number[] =>
  Array.from({ length: count }, (_unused, i) => (2 * openUniform(threefry(seed, 7, i, 0)[0]) - 1) * scale);

/** Seeded data for all weight ports: gains near 1, everything else spread so that no activation is tiny. */
export function randomWeights(graph: Graph, seed: number): Record<string, number[]> {
  return Object.fromEntries(
    ports(graph, "weight").map(({ name, node }, i) => {
      const shape = node.type.kind === "tensor" ? node.type.shape : [];
      const values = randomNumbers(sizeOf(shape), seed * 1000 + i, shape.length === 2 ? 2 / Math.sqrt(shape[1]!) : 0.5);
      return [name, name.includes("norm") ? values.map((v) => 1 + v) : values];
    }),
  );
}

/** The base model as tensor ops, no adapter anywhere. */
export const lowerModel = (graph: Graph): Graph =>
  associate(attach(graph, { sites: new Map(), trained: new Map() }), { train: false }).graph;

export const runModel = (graph: Graph, data: Readonly<Record<string, ArrayLike<number>>>): Record<string, Value> =>
  evaluate(lowerModel(graph), data);

/** Largest difference in units of the largest wanted entry. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    difference = Math.max(difference, Math.abs(got[i]! - want[i]!));
    largest = Math.max(largest, Math.abs(want[i]!));
    if (Number.isNaN(got[i]!)) return Number.POSITIVE_INFINITY;
  }
  return difference / largest;
}
