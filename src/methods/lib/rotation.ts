/** Orthogonal blocks by Cayley's map, and what works on blocks. */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Builtin, type CallContext, makesTensor } from "./builtin.ts";

/** Identity blocks of the shape of `like` [g, k, k]. */
export function identityBlocks(b: Builder, like: number): number {
  const [g, k] = b.shape(like) as [number, number];
  const equal = b.add("eq", [b.iota([g, k, k], 1), b.iota([g, k, k], 2)]);
  return b.cast(equal, "f32");
}

export const times = (b: Builder, x: number, y: number): number => b.einsum("gij,gjk->gik", x, y);

/** (I - S)(I + S)^-1 per block. */
function cayley(b: Builder, s: number): number {
  const identity = identityBlocks(b, s);
  return times(b, b.sub(identity, s), b.add("inverse", [b.plus(identity, s)]));
}

/** Applies `map` to [g, k, k] blocks, whatever axes lead. */
export function perBlock(context: CallContext, id: number, map: (b: Builder, blocks: number) => number): number {
  const b = context.builder();
  const shape = b.shape(id);
  const [k, l] = [shape.at(-2), shape.at(-1)];
  if (k === undefined || k !== l)
    throw context.fail("Square blocks are wanted.", "[..., k, k]", `[${shape.join(", ")}]`);
  const blocks = b.reshape(id, [sizeOf(shape) / (k * k), k, k]);
  return b.reshape(map(b, blocks), shape);
}

export const rotationBuiltins: readonly Builtin[] = [
  makesTensor("cayley", { S: "tensor" }, "(I - S)(I + S)^-1 of every block [..., k, k]: exact.", ({ S }, _b, context) =>
    perBlock(context, S, cayley),
  ),
];
