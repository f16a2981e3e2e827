/** From units to bodies of kernel IR: decides layouts and runs the schedules, producers first. Units that are alike are lowered once. */
import { nodesBetween } from "../../ir/evaluate.ts";
import { type Graph, isFrozenPort } from "../../ir/graph.ts";
import { type Recent, remembered } from "../../ir/remember.ts";
import { during } from "../../ir/trail.ts";
import { sizeOf } from "../../ir/types.ts";
import { Emitter } from "../emit/emitter.ts";
import { type AxisOrder, rowMajor } from "../emit/index-maps.ts";
import type { Fusion, Unit } from "../fuse/fuse.ts";
import type { Liveness } from "../fuse/kept.ts";
import { type Target, tuningOf } from "../target.ts";
import { likenessOf } from "./alike.ts";
import { unitOrder, weightOrders } from "./choose-order.ts";
import { type ScheduledBody, scheduleUnit } from "./index.ts";

export interface LowerOptions {
  readonly target: Target;
  readonly liveness: Liveness;
  /** Whether the host reads the value, so that its layout is fixed. */
  readonly isResult: (node: number) => boolean;
  /** Whether a port lives in storage, so that its layout is fixed. */
  readonly isStored: (port: number) => boolean;
  /** What was lowered for the same target before, by likeness: stages have many units in common. */
  readonly known: Recent<string, LoweredUnit>;
}

/** What became of a unit and of all that are like it. */
export interface LoweredUnit {
  readonly order: AxisOrder;
  readonly body: ScheduledBody;
  /** By tensor of the body, and by variable: the rank of its node among those of the unit. */
  readonly ranks: readonly number[];
  readonly held: ReadonlyMap<string, number>;
}

/** A body with the nodes that its unit computes or reads, increasing: those of units that are alike correspond. */
export interface LoweredBody extends ScheduledBody {
  readonly nodes: readonly number[];
}

/** The bodies of units, in their order, each when it is asked for. An error of a unit says what the unit stores and reads. */
export function* lowerUnits(graph: Graph, fusion: Fusion, options: LowerOptions): Generator<LoweredBody> {
  const { target, liveness } = options;
  const tuning = tuningOf(target);
  const chosen = new Map<number, AxisOrder>();
  const rankOf = (node: number): number => {
    const { type } = graph.nodes[node]!;
    return type.kind === "tensor" ? type.shape.length : 0;
  };
  const frozen = (port: number): boolean => isFrozenPort(graph.nodes[port]!) && !options.isStored(port);
  const lower = (unit: Unit): Pick<LoweredUnit, "order" | "body"> => {
    const isInner = target.layout === "inner-major" && sizeOf(unit.shape) >= tuning.tinyElements;
    const weights = isInner ? weightOrders(graph, unit, frozen) : new Map<number, AxisOrder>();
    const orderOf = (node: number): AxisOrder => weights.get(node) ?? chosen.get(node) ?? rowMajor(rankOf(node));
    const inMemory = inMemoryFor(unit);
    const fixed = !isInner || unit.stored.some(options.isResult);
    const order = fixed ? rowMajor(unit.shape.length) : unitOrder(graph, unit, inMemory, orderOf);
    choose(unit, order);
    const emitter = new Emitter(graph, inMemory, orderOf);
    try {
      return { order, body: scheduleUnit({ graph, target, tuning, unit, liveness, order, orderOf, emitter }) };
    } catch (error) {
      throw during(error, { doing: "kernel", graph, nodes: unit.stored, reads: readBy(unit, inMemory) });
    }
  };
  const readBy = ({ stored }: Unit, isRead: (id: number) => boolean): number[] => {
    const own = nodesBetween(graph, isRead, stored);
    const inputs = own.flatMap((id) => graph.nodes[id]!.inputs);
    return [...new Set(inputs)].filter((id) => !own.includes(id));
  };
  const inMemoryFor = (unit: Unit) => (id: number) =>
    graph.nodes[id]!.op === "port" || (fusion.home.get(id) ?? unit.id) !== unit.id;
  const choose = (unit: Unit, order: AxisOrder): void => {
    for (const id of unit.stored) if (rankOf(id) === unit.shape.length) chosen.set(id, order);
  };
  for (const unit of fusion.units) {
    const { text, nodes } = likenessOf(graph, unit, {
      liveness,
      isInMemory: inMemoryFor(unit),
      read: (id) => `${graph.nodes[id]!.op === "port" && frozen(id) ? "frozen" : ""} ${chosen.get(id) ?? ""}`,
      isResult: options.isResult,
    });
    const { order, body, ranks, held } = remembered(options.known, text, () => {
      const lowered = lower(unit);
      const { tensors, held } = lowered.body;
      const rank = (node: number): number => nodes.indexOf(node);
      return {
        ...lowered,
        ranks: tensors.map(({ node }) => rank(node)),
        held: new Map([...held].map(([name, node]) => [name, rank(node)])),
      };
    });
    choose(unit, order);
    yield {
      ...body,
      nodes,
      tensors: body.tensors.map((use, i) => ({ ...use, node: nodes[ranks[i]!]! })),
      // Asked for by people alone.
      get held() {
        return new Map([...held].map(([name, rank]) => [name, nodes[rank]!]));
      },
    };
  }
}
