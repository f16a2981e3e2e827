/** What stands for a row of hidden states: its first token, as it is or through a layer, or the mean of all. */
import type { Builder } from "../ir/builder.ts";
import { linear, type Unary } from "./layers.ts";
import { alongRows } from "./lowering.ts";
import { block, type Module, type Place, silent } from "./module.ts";

/** f32[b, d] of f32[b, s, d]. */
export function firstToken({ builder }: { readonly builder: Builder }, stream: number): number {
  const [batch, , width] = builder.shape(stream) as [number, number, number];
  return builder.reshape(builder.slice(stream, [0, 0, 0], [batch, 1, width]), [batch, width]);
}

/** The mean of x f32[b, s, d] over the tokens that the mask i32[b, s] shows, or over all: f32[b, d]; 0 where none is shown. */
export function meanToken(builder: Builder, x: number, mask: number | undefined): number {
  const [batch, length, width] = builder.shape(x) as [number, number, number];
  const real = mask === undefined ? builder.constant(1, [batch, length]) : builder.cast(mask, "f32");
  const sum = builder.einsum("bs,bsd->bd", real, x);
  const count = builder.sum(real, [1]);
  const atLeastOne = builder.add("maximum", [count, builder.constantLike(count, 1)]);
  return builder.div(sum, alongRows(builder, atLeastOne, width));
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
