/** Shapes that files have for tensors of layers on patches of an image; see `PatchForm`. */
import { sizeOf } from "../../../ir/types.ts";
import type { PatchForm } from "../../../program/index.ts";

type Shape = readonly number[];

const shapes: { readonly [Name in PatchForm["name"]]: (shape: Shape, patch: Shape) => Shape } = {
  kernel: (shape, patch) => [...shape.slice(0, -1), ...patch],
  pointwise: (shape) => [...shape, 1, 1],
  channels: (shape) => [1, sizeOf(shape), 1, 1],
  row: (shape) => [1, sizeOf(shape)],
};

/** The shape that a file has for a tensor of a shape. */
export const shapeInFile = (shape: Shape, form: PatchForm | undefined): Shape =>
  form === undefined ? shape : shapes[form.name](shape, form.patch);
