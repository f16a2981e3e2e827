/** Shapes of adapter tensors in files. */
import { sizeOf } from "../ir/types.ts";
import type { PatchForm } from "../program.ts";

/** The shape that a file has for a tensor of a shape; see `PatchForm`. */
export function shapeInFile(shape: readonly number[], form: PatchForm | undefined): readonly number[] {
  switch (form?.name) {
    case "kernel":
      return [...shape.slice(0, -1), ...form.patch];
    case "pointwise":
      return [...shape, 1, 1];
    case "channels":
      return [1, sizeOf(shape), 1, 1];
    case "row":
      return [1, sizeOf(shape)];
    default:
      return shape;
  }
}
