/** Simplification of movement ops: views that meet, views of constants, and sums of pads that are concatenations. */
import { sameShape } from "../ir/types.ts";
import { scalarConstant } from "./operator-view.ts";
import { list, type Rewriter, type Rule, typeOf } from "./rewrite.ts";

/** The concatenation that pad(a) + pad(b) is when b begins where a ends and both fill all other axes; the gradient of slices makes such sums. */
function joined(first: number, second: number, r: Rewriter): number | undefined {
  const [a, b] = [r.node(first), r.node(second)];
  if (a.op !== "pad" || b.op !== "pad") return undefined;
  const parts = [a.inputs[0]!, b.inputs[0]!];
  const [left, right] = parts.map((part) => r.shape(part)) as [readonly number[], readonly number[]];
  const padded = left.flatMap((_n, i) => {
    const around = [a, b].flatMap((node) => [list(node.attributes.low)[i], list(node.attributes.high)[i]]);
    return around.every((n) => n === 0) ? [] : [i];
  });
  const axis = padded[0];
  if (axis === undefined || padded.length > 1) return undefined;
  const [low, high] = [list(b.attributes.low)[axis], list(a.attributes.high)[axis]];
  const fits = list(a.attributes.low)[axis] === 0 && list(b.attributes.high)[axis] === 0;
  return fits && high === right[axis] && low === left[axis] ? r.concat(parts, axis) : undefined;
}

export const movementRules: readonly Rule[] = [
  {
    name: "move-constant",
    ops: ["reshape", "transpose", "broadcast", "slice", "concat"],
    ofConstants: true,
    doc: "a view of a constant, or a concatenation of equal ones -> the constant in the new shape",
    rewrite: (c, r) => {
      const values = c.inputs.map((input) => scalarConstant(r, input));
      const [value] = values;
      if (value === undefined || values.some((other) => other !== value)) return undefined;
      const type = typeOf(c, r);
      return r.constant(value, type.shape, type.dtype);
    },
  },
  {
    name: "reshape-of-reshape",
    ops: ["reshape"],
    doc: "reshape(reshape(x)) -> reshape(x), and x when the shape is its own",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      const inner = node.op === "reshape" ? node.inputs[0]! : c.inputs[0]!;
      if (sameShape(r.shape(inner), list(c.attributes.shape))) return inner;
      return node.op === "reshape" ? r.reshape(inner, list(c.attributes.shape)) : undefined;
    },
  },
  {
    name: "transpose-of-transpose",
    ops: ["transpose"],
    doc: "transpose(transpose(x)) -> one transpose, or x",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      const outer = list(c.attributes.permutation);
      if (outer.every((axis, i) => axis === i)) return c.inputs[0];
      return node.op === "transpose"
        ? r.transpose(
            node.inputs[0]!,
            outer.map((axis) => list(node.attributes.permutation)[axis]!),
          )
        : undefined;
    },
  },
  {
    name: "transpose-as-reshape",
    ops: ["transpose"],
    doc: "a transpose that moves only axes of extent 1 -> reshape",
    rewrite: (c, r) => {
      const shape = r.shape(c.inputs[0]!);
      const moved = list(c.attributes.permutation).filter((axis) => shape[axis] !== 1);
      if (!moved.every((axis, i) => i === 0 || moved[i - 1]! < axis)) return undefined;
      return r.reshape(
        c.inputs[0]!,
        list(c.attributes.permutation).map((axis) => shape[axis]!),
      );
    },
  },
  {
    name: "broadcast-of-broadcast",
    ops: ["broadcast"],
    doc: "broadcast(broadcast(x)) -> one broadcast",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      if (sameShape(r.shape(c.inputs[0]!), list(c.attributes.shape))) return c.inputs[0];
      if (node.op !== "broadcast") return undefined;
      return r.broadcast(
        node.inputs[0]!,
        list(c.attributes.shape),
        list(node.attributes.axes).map((axis) => list(c.attributes.axes)[axis]!),
      );
    },
  },
  {
    name: "whole-slice",
    ops: ["slice"],
    doc: "a slice of everything -> x",
    rewrite: (c, r) => {
      const shape = r.shape(c.inputs[0]!);
      const whole = list(c.attributes.start).every((s, i) => s === 0 && list(c.attributes.limit)[i] === shape[i]);
      return whole ? c.inputs[0] : undefined;
    },
  },
  {
    name: "slice-of-pad",
    ops: ["slice"],
    doc: "slice(pad(x)) that cuts the padding off -> x",
    rewrite: (c, r) => {
      const node = r.node(c.inputs[0]!);
      if (node.op !== "pad") return undefined;
      const shape = r.shape(node.inputs[0]!);
      const low = list(node.attributes.low);
      const exact = list(c.attributes.start).every(
        (s, i) => s === low[i] && list(c.attributes.limit)[i] === low[i]! + shape[i]!,
      );
      return exact ? node.inputs[0] : undefined;
    },
  },
  {
    name: "disjoint-pads",
    ops: ["add"],
    doc: "pad(a) + pad(b) that fill each other's zeros along one axis -> concat(a, b)",
    rewrite: (c, r) => joined(c.inputs[0]!, c.inputs[1]!, r) ?? joined(c.inputs[1]!, c.inputs[0]!, r),
  },
];
