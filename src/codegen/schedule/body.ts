/** What schedules are, and what they make of a unit: the statements of one body, the tensors it uses, how many workgroups it wants. */
import type { Graph } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import type { Affine } from "../emit/affine.ts";
import type { Emitter, TensorUse } from "../emit/emitter.ts";
import type { AxisOrder } from "../emit/index-maps.ts";
import { LoadCounter } from "../emit/load-counter.ts";
import type { Unit, UnitForm } from "../fuse/fuse.ts";
import type { Liveness } from "../fuse/kept.ts";
import { binary, type Expr, type SharedArray, type Statement, sizeLiteral, u32 } from "../kernel/kernel.ts";
import type { Target, Tuning } from "../target.ts";

export interface Body {
  /** One word, for the kernel's name. */
  readonly name: string;
  readonly doc: readonly string[];
  readonly statements: readonly Statement[];
  readonly tensors: readonly TensorUse[];
  /** By variable of the statements: the node whose value it holds. */
  readonly held: ReadonlyMap<string, number>;
  readonly workgroups: number;
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** WGSL features that it needs. */
  readonly features: readonly string[];
  readonly shared: readonly SharedArray[];
}

export interface ScheduleContext {
  readonly graph: Graph;
  readonly target: Target;
  readonly tuning: Tuning;
  readonly unit: Unit;
  readonly liveness: Liveness;
  readonly emitter: Emitter;
  /** In what order the axes of stored values are in memory. */
  readonly orderOf: (node: number) => AxisOrder;
  /** That of the values of the unit's own domain. */
  readonly order: AxisOrder;
}

/** What a schedule expects to cost. Costs of the schedules of one form are in one unit, which the form's file names. */
export interface Estimate {
  /** Asked for where there are others. */
  cost(): number;
}

/** A way of running units of a form. `estimate` decides without writing anything, `emit` writes with the emitter of the context. */
export interface Schedule<E extends Estimate = Estimate> {
  readonly name: string;
  readonly form: UnitForm;
  /** What the target must have: WGSL features, invocations of a workgroup, bytes of its memory. */
  readonly needs?: {
    readonly features?: readonly string[];
    readonly workgroup?: number;
    readonly workgroupBytes?: number;
  };
  /** Undefined where it cannot do the unit, or never should. */
  estimate(c: ScheduleContext): E | undefined;
  emit(c: ScheduleContext, estimate: E): Body;
}

/** For the only schedule of a form. */
export const anyway = (): Estimate => ({ cost: () => 0 });

/** A body that is like most: workgroups of the target's size, without memory of their own. */
export const bodyOf = (c: ScheduleContext, own: Pick<Body, "name" | "doc" | "workgroups"> & Partial<Body>): Body => ({
  statements: c.emitter.body,
  tensors: c.emitter.tensors,
  held: c.emitter.held,
  workgroup: c.target.workgroup,
  features: [],
  shared: [],
  ...own,
});

/** For trying out how something would be read. */
export const probeOf = (c: ScheduleContext): LoadCounter => new LoadCounter(c.graph, c.emitter.isInMemory, c.orderOf);

/** Index of the workgroup within the body's part of the dispatch. */
export const blockIndex: Expr = { kind: "builtin", name: "block", type: "u32" };
export const localIndex: Expr = { kind: "builtin", name: "local", type: "u32" };

export const shapeOf = (c: ScheduleContext, id: number): readonly number[] =>
  (c.graph.nodes[id]!.type as TensorType).shape;

/** Runs `make` in every invocation with an index below `count`; answers the workgroups needed. */
export function perInvocation(c: ScheduleContext, count: number, make: (at: Affine) => void): number {
  const { emitter } = c;
  const { workgroup } = c.target;
  const at = binary("+", binary("*", blockIndex, u32(workgroup)), localIndex);
  const index = emitter.index(at, count);
  // Where the count is a multiple the test is always true; kernels are shared more often with it.
  emitter.when(binary("<", emitter.address(index).expr, sizeLiteral(count)), () => make(index));
  return Math.ceil(count / workgroup);
}

export function opNames(c: ScheduleContext): string {
  const seen = new Set<number>();
  const names: string[] = [];
  const members = new Set(c.unit.members);
  const visit = (id: number): void => {
    if (seen.has(id)) return;
    seen.add(id);
    const node = c.graph.nodes[id]!;
    if (node.op === "port") return;
    for (const input of node.inputs) if (!isStoredElsewhere(c, input)) visit(input);
    names.push(node.op);
  };
  for (const member of members) visit(member);
  return names.join(" ");
}

const isStoredElsewhere = (c: ScheduleContext, id: number): boolean =>
  c.graph.nodes[id]!.op === "port" || c.emitter.tensors.some((t) => t.node === id && !t.writes);
