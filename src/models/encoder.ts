/** What encoders have in common: attention in all directions, and the first token, which stands for the row. */
import { type Attention, attend } from "./attention.ts";
import type { Unary } from "./layers.ts";
import type { Place } from "./module.ts";

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

/** f32[b, d] of f32[b, s, d]. */
export function firstToken({ builder }: Pick<Place, "builder">, stream: number): number {
  const [batch, , width] = builder.shape(stream) as [number, number, number];
  return builder.reshape(builder.slice(stream, [0, 0, 0], [batch, 1, width]), [batch, width]);
}

/** A layer with tanh behind it, on the first token. */
export const pooled = (place: Place, dense: Unary, stream: number): number =>
  place.builder.add("tanh", [dense(firstToken(place, stream))]);
