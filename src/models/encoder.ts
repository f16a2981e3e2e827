/** What encoders have in common: attention in all directions, a pooler of the first token, and how they stand alone. */
import { type Attention, attend } from "./attention.ts";
import { linear, type Unary } from "./layers.ts";
import type { BuildOptions } from "./model.ts";
import { bind, block, type ModelTree, type Module, type Place, silent } from "./module.ts";
import { firstToken } from "./pooling.ts";

/** f32[b, s, heads width] from what the layers of queries, keys and values made of the stream: f32[b, s, heads width] each. */
export function attendAll(
  { builder }: Place,
  [queries, keys, values]: readonly [number, number, number],
  heads: number,
  seen?: Attention["seen"],
): number {
  const [batch, length, width] = builder.shape(queries) as [number, number, number];
  const split = (y: number, ...groups: number[]): number =>
    builder.reshape(y, [batch, length, heads, ...groups, width / heads]);
  const context = attend(builder, { queries: split(queries, 1), keys: split(keys), values: split(values), seen });
  return builder.reshape(context, [batch, length, width]);
}

/** A layer with tanh behind it, on the first token. */
export const pooled = (place: Place, dense: Unary, stream: number): number =>
  place.builder.add("tanh", [dense(firstToken(place, stream))]);

/** The same as a module of its own: f32[b, s, width] to f32[b, out]. */
export const poolerOf = (width: number, out = width): Module<Unary> =>
  block(
    { dense: linear(width, out, true), activation: silent },
    ({ dense }, place) =>
      (stream) =>
        pooled(place, dense, stream),
  );

/**
 * The root of a model without a head: what is in an encoder of what it reads, and the pooler behind it, which computes only where the files
 * hold its tensors.
 */
export function encoderAlone<Input>(
  encoder: Module<(input: Input) => number>,
  read: (place: Place, options: BuildOptions) => Input,
  pooler: Module<Unary> | undefined,
): ModelTree["root"] {
  const children = { ...encoder.children, pooler };
  return {
    ...{ entry: encoder.entry, children },
    call: (place) => {
      const [encode, pool] = [encoder.call(place), pooler && bind(pooler, { ...place, path: "pooler" })];
      return (options) => {
        const hidden = encode(read(place, options));
        const isStored = pool !== undefined && (options.stored?.(place.sites.weightOf("pooler.dense")) ?? true);
        return { hidden, pooler: isStored ? pool(hidden) : undefined };
      };
    },
  };
}
