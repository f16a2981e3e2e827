/** Data that is drawn from a seed, for runs whose results nobody reads: a batch of a program, and the weights of a model. */
import { sizeOf } from "../../ir/types.ts";
import { labelShape } from "../../models/head.ts";
import type { ModelInput } from "../../models/model.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import { fromFloat32, type HostTensor, tensorDtypes } from "../files/tensor.ts";
import type { WeightInfo } from "../files/weights.ts";
import type { SessionBatch } from "./batch.ts";
import { labelNames } from "./head-labels.ts";

/** Numbers in [0, 1): a linear congruential generator, by "Numerical Recipes". */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** So many numbers in [0, 1). */
export const drawnNumbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, generator(seed));

/** The numbers of an input, with what every row has at the end of each. */
export function withEndOfRows<T extends number[] | Int32Array | Float32Array>(
  numbers: T,
  { inEveryRow: token }: ModelInput,
  length: number,
): T {
  for (let end = length; token !== undefined && end <= numbers.length; end += length) numbers[end - 1] = token;
  return numbers;
}

/** Tokens, labels and whatever else the program reads of a batch, within what it may hold. */
export function drawnBatch({ model, batch, length, mask }: CompiledProgram, seed: number): SessionBatch {
  const random = generator(seed);
  const whole = (count: number, below: number): Int32Array =>
    Int32Array.from({ length: count }, () => Math.floor(random() * below));
  const inputs = model.inputs.map((input) => {
    const { name, dtype, rowShape = [length], limit, fill } = input;
    const count = batch * sizeOf(rowShape);
    if (fill !== undefined) return [name, new Int32Array(count).fill(fill)];
    const drawn = dtype === "f32" ? Float32Array.from({ length: count }, random) : whole(count, limit ?? 2);
    return [name, withEndOfRows(drawn, input, sizeOf(rowShape))];
  });
  const { head } = model.defaults;
  const labels = labelNames(head).map((name) => {
    if (head.kind === "span") return [name, whole(batch, length)];
    const count = sizeOf(labelShape(head, batch, length));
    return [name, whole(count, head.labels === undefined ? head.classes : 2)];
  });
  const all = mask ? [["attention_mask", new Int32Array(batch * length).fill(1)]] : [];
  return Object.fromEntries([...inputs, ...labels, ...all]);
}

/** Numbers that are repeated: a prime, so that no row is like the one before. */
const period = 65521;

function drawnTensor({ dtype, shape }: WeightInfo, seed: number): HostTensor {
  const count = sizeOf(shape);
  const bytes = new Uint8Array(count * tensorDtypes[dtype]);
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") return { dtype, shape, bytes };
  const random = generator(seed);
  // Vectors are factors of norms more often than anything else.
  const middle = shape.length > 1 ? 0 : 1;
  const numbers = Float32Array.from({ length: Math.min(period, count) }, () => middle + 0.1 * (random() - 0.5));
  const { bytes: some } = fromFloat32(numbers, dtype, [numbers.length]);
  for (let at = 0; at < bytes.length; at += some.length) bytes.set(some.subarray(0, bytes.length - at), at);
  return { dtype, shape, bytes };
}

/** The model with small numbers in the place of its own: it runs as fast, and its files need not be there. */
export function drawnModel(model: Model, seed: number): Model {
  const { weights } = model;
  const places = new Map(weights.keys().map((key, i) => [key, i]));
  return {
    ...model,
    weights: {
      keys: () => weights.keys(),
      info: (key) => weights.info(key),
      async read(key) {
        const info = weights.info(key);
        return info === undefined ? weights.read(key) : drawnTensor(info, seed + places.get(key)!);
      },
    },
  };
}
