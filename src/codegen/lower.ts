/** From units to bodies of kernel IR: decides layouts and runs the schedules, producers first. */
import type { Graph } from "../ir/graph.ts";
import { sizeOf } from "../ir/types.ts";
import { isFrozenPort, unitOrder, weightOrders } from "./choose-order.ts";
import { Emitter } from "./emitter.ts";
import type { Fusion, Unit } from "./fuse.ts";
import { type AxisOrder, rowMajor } from "./order.ts";
import type { Body } from "./schedule/body.ts";
import { tinyElements } from "./schedule/body.ts";
import { scheduleUnit } from "./schedule/index.ts";
import type { Target } from "./target.ts";

export interface LowerOptions {
  readonly target: Target;
  readonly uses: readonly number[];
  /** Whether the host reads the value, so that its layout is fixed. */
  readonly isResult: (node: number) => boolean;
  /** Whether a port lives in storage, so that its layout is fixed. */
  readonly isStored: (port: number) => boolean;
}

export function lowerUnits(graph: Graph, fusion: Fusion, options: LowerOptions): Body[] {
  const { target, uses } = options;
  const chosen = new Map<number, AxisOrder>();
  const rankOf = (node: number): number => {
    const { type } = graph.nodes[node]!;
    return type.kind === "tensor" ? type.shape.length : 0;
  };
  const lower = (unit: Unit): Body => {
    const isInner = target.layout === "inner-major" && sizeOf(unit.shape) >= tinyElements;
    const frozen = (port: number): boolean => isFrozenPort(graph, port) && !options.isStored(port);
    const weights = isInner ? weightOrders(graph, unit, frozen) : new Map<number, AxisOrder>();
    const orderOf = (node: number): AxisOrder => weights.get(node) ?? chosen.get(node) ?? rowMajor(rankOf(node));
    const inMemory = (id: number): boolean =>
      graph.nodes[id]!.op === "port" || (fusion.home.get(id) ?? unit.id) !== unit.id;
    const fixed = !isInner || unit.stored.some(options.isResult);
    const order = fixed ? rowMajor(unit.shape.length) : unitOrder(graph, unit, inMemory, orderOf);
    for (const id of unit.stored) if (rankOf(id) === unit.shape.length) chosen.set(id, order);
    return scheduleUnit({
      graph,
      target,
      unit,
      uses,
      order,
      orderOf,
      emitter: new Emitter(graph, inMemory, orderOf),
    });
  };
  return fusion.units.map(lower);
}
