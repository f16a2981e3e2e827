/** Reads the operands of a product in the ways that its segment says: element by element, or four at once. */
import { type Affine, add, element } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { type Expr, lanesOf } from "../kernel/kernel.ts";
import { type Contraction, oneColumn, type Segment } from "./segment.ts";

const component = (e: Expr, at: number): Expr =>
  lanesOf(e) === 4 ? { kind: "component", of: e, at, type: e.type } : e;

type ReadSegment = Omit<Segment, "loads">;

type Reader = (element: number, kk: number) => Expr;

export function rowReader(k: Contraction, segment: ReadSegment, first: Affine, pads: readonly Affine[]): Reader {
  const { emitter } = k.c;
  const { node } = segment.form.rowOperand;
  const read = (index: readonly Affine[]): Expr =>
    emitter.padded(pads, () => emitter.bind(emitter.value(node, index), node).expr);
  return (i, kk) => {
    if (segment.row === "inner") return component(read(segment.rowIndex(i, add(first, lane))), kk);
    const inner = add(first, element("inner", kk));
    return segment.row === "own"
      ? component(read(segment.rowIndex(i, inner, true)), i % 4)
      : read(segment.rowIndex(i, inner));
  };
}

export function columnReader(k: Contraction, segment: ReadSegment, first: Affine, pads: readonly Affine[]): Reader {
  const { emitter } = k.c;
  const { node } = segment.form.columnOperand;
  const made = new Map<string, Expr>();
  const read = (index: readonly Affine[]): Expr =>
    emitter.padded(pads, () => emitter.bind(emitter.value(node, index), node).expr);
  return (j, kk) => {
    const key = `${j} ${kk}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const expr =
      segment.column === "inner"
        ? innerColumns(k, segment, j, first, kk, read)
        : read(segment.columnIndex(j, add(first, element("inner", kk))));
    const bound = emitter.bind({ expr: k.wide ? emitter.spread(expr) : expr, depth: emitter.depth }, node).expr;
    made.set(key, bound);
    return bound;
  };
}

/** A column (or four) of which four contracted elements were read at once. */
function innerColumns(
  k: Contraction,
  segment: ReadSegment,
  j: number,
  first: Affine,
  kk: number,
  read: (index: readonly Affine[]) => Expr,
): Expr {
  const inner = add(first, lane);
  if (!k.wide) return component(read(segment.columnIndex(j, inner)), kk);
  const parts = [0, 1, 2, 3].map((at) => component(read(oneColumn(segment, j, at, inner)), kk));
  return { kind: "vector", parts, type: "f32", lanes: 4 };
}
