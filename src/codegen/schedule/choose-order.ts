/**
 * Chooses how values are laid out. What the host sees (ports, results, storage) is row-major; values in the
 * arena are as their readers want them. On targets with `layout: "inner-major"` that is: what a contraction sums over outside, its rows
 * (tokens) inside, so that both operands of the next contraction are read in vectors along the tile, and neighbouring invocations of a row
 * kernel read neighbouring numbers. Frozen weights that are read that way are laid out once, when they are uploaded.
 */
import { behindCasts, type Graph } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { add, scale, variable } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { type AxisOrder, rowMajor } from "../emit/index-maps.ts";
import { LoadCounter } from "../emit/load-counter.ts";
import { contractionForm } from "../fuse/contraction-form.ts";
import type { Unit } from "../fuse/fuse.ts";

/** The order in which a unit stores values of its domain; `orderOf` tells that of the values it reads. */
export function unitOrder(
  graph: Graph,
  unit: Unit,
  inMemory: (node: number) => boolean,
  orderOf: (node: number) => AxisOrder,
): AxisOrder {
  const plain = rowMajor(unit.shape.length);
  if (unit.form === "rows") return [...unit.axes, ...plain.filter((axis) => !unit.axes.includes(axis))];
  if (unit.form === "map") return mapOrder(graph, unit, inMemory, orderOf);
  const einsum = unit.members.find((id) => graph.nodes[id]!.op === "einsum");
  if (unit.form !== "contraction" || einsum === undefined) return plain;
  const { batch, rows, columns } = contractionForm(graph, einsum);
  return [...batch, ...columns, ...rows];
}

/** The axis along which the operands are read with the fewest loads goes inside. */
function mapOrder(
  graph: Graph,
  unit: Unit,
  inMemory: (node: number) => boolean,
  orderOf: (node: number) => AxisOrder,
): AxisOrder {
  const rank = unit.shape.length;
  const lookedUp = graph.nodes[unit.members[0]!]!;
  if (lookedUp.op === "gather") {
    // Rows of a table come row by row, but what reads them wants tokens inside as everywhere.
    const indexRank = (graph.nodes[lookedUp.inputs[1]!]!.type as TensorType).shape.length;
    return [...rowMajor(rank).slice(indexRank), ...rowMajor(indexRank)];
  }
  let best = { axis: rank - 1, loads: Number.POSITIVE_INFINITY };
  for (let axis = rank - 1; axis >= 0; axis--) {
    if (unit.shape[axis]! % 4 !== 0) continue;
    const index = unit.shape.map((n, i) => {
      const at = variable(
        `x${i}`,
        i === axis ? n / 4 : n,
        { kind: "variable", name: `x${i}`, type: "u32", lanes: 1 },
        0,
      );
      return i === axis ? add(scale(at, 4), lane) : at;
    });
    const loads = new LoadCounter(graph, inMemory, orderOf).count(unit.stored, index);
    if (loads < best.loads) best = { axis, loads };
  }
  return [...rowMajor(rank).filter((axis) => axis !== best.axis), best.axis];
}

/** Orders in which a contraction reads frozen ports: contracted axes outside. Only ports that are operands by themselves. */
export function weightOrders(
  graph: Graph,
  unit: Unit,
  isFrozen: (port: number) => boolean,
): ReadonlyMap<number, AxisOrder> {
  const orders = new Map<number, AxisOrder>();
  for (const id of unit.members) {
    if (graph.nodes[id]!.op !== "einsum") continue;
    const form = contractionForm(graph, id);
    for (const operand of [form.rowOperand, form.columnOperand]) {
      const port = behindCasts(graph, operand.node);
      if (graph.nodes[port]!.op !== "port" || !isFrozen(port)) continue;
      const axes = rowMajor(operand.axes.length);
      const inner = axes.filter((axis) => operand.axes[axis]! < 0);
      const last = axes.filter((axis) => (graph.nodes[port]!.type as TensorType).shape[axis]! > 1).at(-1);
      if (last === undefined || !inner.includes(last)) continue;
      orders.set(port, [...inner, ...axes.filter((axis) => !inner.includes(axis))]);
    }
  }
  return orders;
}
