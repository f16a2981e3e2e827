/** Contractions: which axes of a result are batch, rows (of the one operand) and columns (of the other), and which are added up together. */
import type { Graph } from "../../ir/graph.ts";
import { einsumExtents, einsumOf } from "../../ir/ops/contraction.ts";
import type { TensorType } from "../../ir/types.ts";
import type { Liveness } from "./kept.ts";

export interface ContractionForm {
  /** Axes of the result. */
  readonly batch: readonly number[];
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  /** Extents of the contracted letters. */
  readonly inner: readonly number[];
  /** For every axis of the row (column) operand: an axis of the result (>= 0), or contracted letter j as -1 - j. */
  readonly rowOperand: { readonly node: number; readonly axes: readonly number[] };
  readonly columnOperand: { readonly node: number; readonly axes: readonly number[] };
}

/**
 * Columns are the side of the axis `inside` (the last one unless told), which is the innermost in memory, so that neighbours in memory are
 * neighbours in the tile.
 */
export function contractionForm(graph: Graph, id: number, inside?: number): ContractionForm {
  const node = graph.nodes[id]!;
  const spec = einsumOf(node.attributes);
  const shapes = node.inputs.map((i) => (graph.nodes[i]!.type as TensorType).shape);
  const extents = einsumExtents(spec, shapes[0]!, shapes[1]!);
  const axisOf = (letter: string): number => spec.out.indexOf(letter);
  const operandAxes = (letters: string): number[] =>
    [...letters].map((letter) => (axisOf(letter) >= 0 ? axisOf(letter) : -1 - spec.contracted.indexOf(letter)));
  const a = { node: node.inputs[0]!, axes: operandAxes(spec.a) };
  const b = { node: node.inputs[1]!, axes: operandAxes(spec.b) };
  const swapped =
    spec.freeA.includes(spec.out[inside ?? spec.out.length - 1] ?? "") ||
    (spec.freeB.length === 0 && spec.freeA.length > 0);
  return {
    batch: spec.batch.map(axisOf),
    rows: (swapped ? spec.freeB : spec.freeA).map(axisOf),
    columns: (swapped ? spec.freeA : spec.freeB).map(axisOf),
    inner: spec.contracted.map((letter) => extents.get(letter)!),
    rowOperand: swapped ? b : a,
    columnOperand: swapped ? a : b,
  };
}

/** Whether two contractions can share a tile: their results' axes are of the same kinds. */
export function sameForm(a: ContractionForm, b: ContractionForm): boolean {
  const text = (f: ContractionForm): string => [f.batch, f.rows, f.columns].map((axes) => axes.join()).join("|");
  return text(a) === text(b);
}

/** One accumulator of a contraction kernel: the node whose value it holds, and the einsums that are added up in it. */
export interface Accumulator {
  readonly root: number;
  readonly einsums: readonly number[];
}

/** Einsums that nobody else reads and that meet in additions share an accumulator. */
export function accumulatorsOf(
  graph: Graph,
  { uses, users }: Pick<Liveness, "uses" | "users">,
  einsums: readonly number[],
): Accumulator[] {
  const groups = new Map<number, readonly number[]>(einsums.map((id) => [id, [id]]));
  const open = [...einsums];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const sum = uses[id] === 1 ? users[id]![0] : undefined;
    if (sum === undefined || graph.nodes[sum]!.op !== "add") continue;
    const { inputs } = graph.nodes[sum]!;
    const parts = inputs.map((i) => (uses[i] === 1 ? groups.get(i) : undefined));
    if (parts[0] === undefined || parts[1] === undefined) continue;
    for (const input of inputs) groups.delete(input);
    groups.set(sum, [...parts[0], ...parts[1]]);
    open.push(sum);
  }
  return [...groups].map(([root, list]) => ({ root, einsums: list })).sort((a, b) => a.root - b.root);
}
