/** What models of images have: patches behind a class token, and branches that are scaled entry by entry. */
import { patches, type Unary } from "./layers.ts";
import { block, type Module, silent } from "./module.ts";
import type { ImageSpec } from "./spec.ts";

/** Patches of an image, the class token and registers. */
export const imageLength = ({ side, registers = 0 }: ImageSpec): number => side * side + 1 + registers;

/** Of one image: [channels, height, width]. */
export const imageShape = ({ channels, side, patch }: ImageSpec): readonly number[] => [
  channels,
  side * patch,
  side * patch,
];

/** A class token, then the patches of an image f32[b, channels, height, width], plus positions; registers between them: f32[b, 1 + registers + patches, hidden]. */
export function imageEmbedding(hidden: number, image: ImageSpec): Module<Unary> {
  const { channels, patch, side, registers = 0 } = image;
  const patchEmbeddings = block(
    { projection: patches(channels, patch, hidden) },
    ({ projection }, { builder }) =>
      (pixels: number) => {
        const batch = builder.shape(pixels)[0]!;
        const split = builder.reshape(pixels, [batch, channels, side, patch, side, patch]);
        const gathered = builder.transpose(split, [0, 2, 4, 1, 3, 5]);
        return projection(builder.reshape(gathered, [batch, side * side, channels * patch * patch]));
      },
  );
  const parameters = (path: string) => ({
    cls_token: { key: `${path}.cls_token`, shape: [1, 1, hidden] },
    position_embeddings: { key: `${path}.position_embeddings`, shape: [1, side * side + 1, hidden] },
    ...(registers === 0 ? {} : { register_tokens: { key: `${path}.register_tokens`, shape: [1, registers, hidden] } }),
  });
  return block(
    { patch_embeddings: patchEmbeddings, dropout: silent },
    (modules, { builder, sites, path }) =>
      (pixels) => {
        const embedded = modules.patch_embeddings(pixels);
        const [token, positions] = [sites.parameter(path, "cls_token"), sites.parameter(path, "position_embeddings")];
        const batch = builder.shape(pixels)[0]!;
        const all = builder.plus(
          builder.concat([builder.broadcastTo(token, [batch, 1, hidden]), embedded], 1),
          positions,
        );
        if (registers === 0) return all;
        const own = builder.broadcastTo(sites.parameter(path, "register_tokens"), [batch, registers, hidden]);
        const from = (start: number, end: number) => builder.slice(all, [0, start, 0], [batch, end, hidden]);
        return builder.concat([from(0, 1), own, from(1, side * side + 1)], 1);
      },
    (path) => ({ path, kind: "container", layout: "linear", parameters: parameters(path) }),
  );
}

/** Every entry of the last axis times a factor of its own. */
export const layerScale = (width: number): Module<Unary> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { lambda1: { key: `${path}.lambda1`, shape: [width] } },
  }),
  children: {},
  call:
    ({ builder, sites, path }) =>
    (x) =>
      builder.mul(x, sites.parameter(path, "lambda1")),
});
