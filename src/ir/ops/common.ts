/** Helpers that the op records share: checks of types, f64 loops, costs. */
import { WebpeftError } from "../diagnostics.ts";
import type { Attributes } from "../graph.ts";
import type { Cost, Value } from "../op-record.ts";
import { byteWidth, sizeOf, stridesOf, type TensorType, type Type, typeText } from "../types.ts";

function typeError(op: string, expected: string, got: string): WebpeftError {
  return new WebpeftError("IR-TYPE", { message: `${op} cannot take these inputs`, where: op, expected, got });
}

/** The type as a tensor type, or `IR-TYPE`. */
export function asTensor(op: string, type: Type | undefined): TensorType {
  if (type?.kind !== "tensor") throw typeError(op, "a tensor", type === undefined ? "nothing" : typeText(type));
  return type;
}

export function requireThat(condition: boolean, op: string, expected: string, inputs: readonly Type[]): void {
  if (!condition) throw typeError(op, expected, inputs.map(typeText).join(", ") || "no inputs");
}

export function numbers(attributes: Attributes, name: string): readonly number[] {
  return attributes[name] as readonly number[];
}

/** Whether an attribute is an axis of a tensor of this rank. */
export function isAxis(axis: unknown, rank: number): boolean {
  return Number.isInteger(axis) && (axis as number) >= 0 && (axis as number) < rank;
}

/** Whether axes are increasing axes of a tensor of this rank. */
export function areAxes(axes: readonly number[], rank: number): boolean {
  return axes.every((axis, i) => isAxis(axis, rank) && (i === 0 || axes[i - 1]! < axis));
}

export function value(shape: readonly number[], data?: Float64Array): Value {
  return { shape, data: data ?? new Float64Array(sizeOf(shape)) };
}

/** Calls `visit(position, offset)` for all elements of `shape`, `offset` running by `strides`. Row-major order. */
export function forEachIndex(
  shape: readonly number[],
  strides: readonly number[],
  visit: (position: number, offset: number) => void,
): void {
  const size = sizeOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  let offset = 0;
  for (let position = 0; position < size; position++) {
    visit(position, offset);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      offset += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      offset -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

export function bytesOf(type: Type): number {
  return type.kind === "tensor" ? sizeOf(type.shape) * byteWidth(type.dtype) : 0;
}

/** Cost of an op that reads its inputs once, writes its result once, and does `flopsPerElement` per result element. */
export function streamingCost(inputs: readonly Type[], type: Type, flopsPerElement: number): Cost {
  const elements = type.kind === "tensor" ? sizeOf(type.shape) : 0;
  return { flops: elements * flopsPerElement, bytes: inputs.reduce((sum, t) => sum + bytesOf(t), bytesOf(type)) };
}

export const noCost = (): Cost => ({ flops: 0, bytes: 0 });

/** What every record of the operator level says: these nodes are lowered before a gradient or a cost is asked for. */
export const operatorLevel = { opClass: "operator", vjp: "nondifferentiable", cost: noCost } as const;

/** Whether a tensor is f32 of this rank. */
export const isFloat = (type: TensorType, rank: number): boolean => type.dtype === "f32" && type.shape.length === rank;

export { sizeOf, stridesOf };
