/**
 * Turns the value of a graph node at an index into kernel IR. Stored values become loads, pointwise ops expressions, movement ops maps of
 * the index, `uniform` an inline counter. A node that was computed already at the same index is used again, in the outermost block where its
 * operands are known, so that loop-invariant work leaves the loop by itself.
 *
 * An index may hold the *lane* variable (0 .. 3, see `lanes.ts`): the value then has four lanes. Loads of four elements in a row become one
 * load; what cannot be done on four lanes at once is done per lane.
 */
import type { Graph, Node } from "../../ir/graph.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import { binary, type Expr, f32, lanesOf, type Scalar, sizeLiteral, u32 } from "../kernel/kernel.ts";
import type { Affine } from "./affine.ts";
import * as affine from "./affine.ts";
import { BlockWriter, memoKey, type Val } from "./block-writer.ts";
import { type AxisOrder, moveIndex, positionOf } from "./index-maps.ts";
import { atLane, laneForm, withoutLane } from "./lanes.ts";
import { rangeReaders } from "./ranges.ts";

/** A stored value that the body of a kernel reads or writes. */
export interface TensorUse {
  readonly node: number;
  readonly writes: boolean;
  /** Order of its axes in memory. */
  readonly order: AxisOrder;
}

const scalarType = (type: TensorType): Scalar => (type.dtype === "bf16" || type.dtype === "f16" ? "f32" : type.dtype);

export class Emitter extends BlockWriter {
  readonly tensors: TensorUse[] = [];
  private readonly looksAtRange: (node: number) => boolean;

  constructor(
    private readonly graph: Graph,
    /** Nodes whose values are in memory when the kernel runs. */
    readonly isInMemory: (node: number) => boolean,
    /** In what order the axes of a stored value are in memory. */
    private readonly orderOf: (node: number) => AxisOrder,
  ) {
    super();
    this.looksAtRange = rangeReaders(graph, isInMemory);
  }

  /** Slot of a stored value among the tensors of this kernel. */
  tensor(node: number, writes = false): number {
    const at = this.tensors.findIndex((t) => t.node === node && t.writes === writes);
    return at >= 0 ? at : this.tensors.push({ node, writes, order: this.orderOf(node) }) - 1;
  }

  /**
   * Runs `make` with these variables in every address of a load or store, with a stride of 0 where the element does not depend on them.
   * Then operands that differ in their strides alone are read by one text.
   */
  padded<T>(variables: readonly Affine[], make: () => T): T {
    const before = this.pads;
    this.pads = variables
      .flatMap((v) => v.terms.map((t) => t.atom))
      .filter((a) => a.kind === "variable" && !a.lane && a.element === undefined);
    try {
      return make();
    } finally {
      this.pads = before;
    }
  }

  private padAddress(a: Affine): Affine {
    const missing = this.pads.filter(
      (p, i) => this.pads.indexOf(p) === i && !a.terms.some((t) => t.atom.key === p.key),
    );
    const terms = [...a.terms, ...missing.map((atom) => ({ factor: 0, atom }))];
    return affine.withTerms(
      a,
      terms.sort((x, y) => (x.atom.key < y.atom.key ? -1 : 1)),
    );
  }

  /** The address in the binding; tensors begin at multiples of four elements. */
  private placed(position: Affine, tensor: number): Affine {
    const expr: Expr = { kind: "base", tensor, type: "u32" };
    return affine.add(position, affine.variable(`~base${tensor}`, farthest, expr, 0, { aligned: true }));
  }

  type(node: number): TensorType {
    return this.graph.nodes[node]!.type as TensorType;
  }

  /** The value of a node at an index of its shape. */
  value(id: number, index: readonly Affine[]): Val {
    const key = memoKey(id, index);
    const known = this.recall(key);
    if (known !== undefined) return known;
    const made = this.isInMemory(id) ? this.load(id, index) : this.compute(id, this.graph.nodes[id]!, index);
    return this.remember(key, this.bind(made, id), this.looksAtRange(id));
  }

  private load(id: number, index: readonly Affine[]): Val {
    const type = this.type(id);
    const tensor = this.tensor(id);
    const address = this.placed(positionOf(index, type.shape, this.orderOf(id)), tensor);
    const form = laneForm(address);
    if (form === "other") return this.perLane(id, index);
    const at = this.address(this.padAddress(form === "row" ? withoutLane(address) : address));
    const expr: Expr = {
      kind: "load",
      tensor,
      index: at.expr,
      type: scalarType(type),
      lanes: form === "row" ? 4 : 1,
    };
    return { expr, depth: at.depth };
  }

  /** The four lanes one by one. */
  perLane(id: number, index: readonly Affine[]): Val {
    const parts = [0, 1, 2, 3].map((lane) =>
      this.value(
        id,
        index.map((a) => atLane(a, lane)),
      ),
    );
    return {
      expr: { kind: "vector", parts: parts.map((p) => p.expr), type: parts[0]!.expr.type, lanes: 4 },
      depth: Math.max(...parts.map((p) => p.depth)),
    };
  }

  private compute(id: number, node: Node, index: readonly Affine[]): Val {
    const type = node.type as TensorType;
    switch (node.op) {
      case "constant":
        return { expr: constantOf(scalarType(type), node.attributes.value as number), depth: 0 };
      case "iota":
        return this.iota(id, index, node.attributes.axis as number);
      case "uniform":
        return this.random(id, node, index);
      case "gather":
        return this.gather(id, node, index);
      case "reshape":
      case "transpose":
      case "broadcast":
      case "slice":
        return this.value(node.inputs[0]!, moveIndex(this.graph, node, index));
      case "pad":
        return this.pad(id, node, index);
      case "concat":
        return this.concat(id, node, index);
      default:
        return this.pointwise(node, type, index);
    }
  }

  private pointwise(node: Node, type: TensorType, index: readonly Affine[]): Val {
    const args = node.inputs.map((i) => this.value(i, index));
    const lanes = args.some((a) => lanesOf(a.expr) === 4) ? 4 : 1;
    const widened = args.map((a) => (lanes === 4 ? this.spread(a.expr) : a.expr));
    const depth = Math.max(0, ...args.map((a) => a.depth));
    if (node.op === "stop_gradient") return args[0]!;
    return { expr: { kind: "op", op: node.op, args: widened, type: scalarType(type), lanes }, depth };
  }

  spread(e: Expr): Expr {
    return lanesOf(e) === 4 ? e : { kind: "vector", parts: [e, e, e, e], type: e.type, lanes: 4 };
  }

  private iota(id: number, index: readonly Affine[], axis: number): Val {
    if (affine.hasLane(index[axis]!)) return this.perLane(id, index);
    const at = this.address(index[axis]!);
    return { expr: { kind: "op", op: "cast", args: [at.expr], type: "i32", lanes: 1 }, depth: at.depth };
  }

  private random(id: number, node: Node, index: readonly Affine[]): Val {
    if (index.some(affine.hasLane)) return this.perLane(id, index);
    const [seed, step, offset] = node.inputs.map((i) => this.value(i, []));
    const shape = (node.type as TensorType).shape;
    const element = this.address(affine.linearize(index, shape));
    const first = binary("*", offset!.expr, sizeLiteral(sizeOf(shape.slice(1))));
    const expr: Expr = {
      kind: "random",
      seed: seed!.expr,
      step: step!.expr,
      counter: binary("+", element.expr, first),
      site: sizeLiteral(node.attributes.site as number),
      tensor: sizeLiteral(node.attributes.tensor as number),
      type: "f32",
    };
    return { expr, depth: Math.max(element.depth, seed!.depth, step!.depth, offset!.depth) };
  }

  private gather(id: number, node: Node, index: readonly Affine[]): Val {
    const rank = this.type(node.inputs[1]!).shape.length;
    if (index.slice(0, rank).some(affine.hasLane)) return this.perLane(id, index);
    const row = this.value(node.inputs[1]!, index.slice(0, rank));
    const cast: Expr = { kind: "op", op: "cast", args: [row.expr], type: "u32", lanes: 1 };
    const key = memoKey(-1 - node.inputs[1]!, index.slice(0, rank));
    const indices = node.inputs[1]!;
    const made = (): Val => this.bind({ expr: cast, depth: row.depth }, indices);
    const at = this.recall(key) ?? this.remember(key, made(), this.looksAtRange(indices));
    const rows = this.type(node.inputs[0]!).shape[0]!;
    const name = at.expr.kind === "variable" ? at.expr.name : "row";
    const rowIndex = affine.variable(name, rows, at.expr, at.depth);
    return this.value(node.inputs[0]!, [rowIndex, ...index.slice(rank)]);
  }

  /** Whether 0 <= a < extent: always, never, or by a test; undefined when the lanes of `a` differ. */
  private guard(a: Affine, extent: number): Val | boolean | undefined {
    if (a.lo >= 0 && a.hi < extent) return true;
    if (a.hi < 0 || a.lo >= extent) return false;
    if (affine.hasLane(a) && (laneForm(a) !== "row" || extent % 4 !== 0)) return undefined;
    const at = this.address(withoutLane(a));
    return { expr: binary("<", at.expr, sizeLiteral(extent)), depth: at.depth };
  }

  private choose(condition: Val, yes: Val, no: Val): Val {
    const lanes = lanesOf(yes.expr) === 4 || lanesOf(no.expr) === 4 ? 4 : 1;
    const args = [condition.expr, yes.expr, no.expr].map((e) => (lanes === 4 ? this.spread(e) : e));
    const depth = Math.max(condition.depth, yes.depth, no.depth);
    return { expr: { kind: "op", op: "select", args, type: yes.expr.type, lanes }, depth };
  }

  private pad(id: number, node: Node, index: readonly Affine[]): Val {
    const shape = this.type(node.inputs[0]!).shape;
    const low = node.attributes.low as readonly number[];
    const inner = index.map((a, i) => affine.add(a, affine.constant(-low[i]!)));
    const guards = inner.map((a, i) => this.guard(a, shape[i]!));
    if (guards.includes(undefined)) return this.perLane(id, index);
    const zero: Val = { expr: { kind: "literal", type: scalarType(this.type(id)), value: 0 }, depth: 0 };
    if (guards.includes(false)) return zero;
    const tests = guards.filter((g): g is Val => typeof g === "object");
    const narrowed = inner.map((a, i) => affine.within(a, Math.max(a.lo, 0), Math.min(a.hi, shape[i]! - 1)));
    const value = this.underGuard(tests.length > 0, () => this.value(node.inputs[0]!, narrowed));
    return tests.reduce((v, test) => this.choose(test, v, zero), value);
  }

  private concat(id: number, node: Node, index: readonly Affine[]): Val {
    const axis = node.attributes.axis as number;
    let start = 0;
    const parts = node.inputs.map((input) => {
      const extent = this.type(input).shape[axis]!;
      const a = affine.add(index[axis]!, affine.constant(-start));
      start += extent;
      return { input, extent, a, guard: this.guard(a, extent) };
    });
    if (parts.some((p) => p.guard === undefined)) return this.perLane(id, index);
    const reached = parts.filter((p) => p.guard !== false);
    const partValue = (p: (typeof parts)[number]): Val => {
      const narrowed = affine.within(p.a, Math.max(p.a.lo, 0), Math.min(p.a.hi, p.extent - 1));
      const at = index.map((a, i) => (i === axis ? narrowed : a));
      return this.underGuard(p.guard !== true, () => this.value(p.input, at));
    };
    return reached
      .slice(0, -1)
      .reduceRight((rest, p) => this.choose(p.guard as Val, partValue(p), rest), partValue(reached.at(-1)!));
  }

  /** Stores a value (of one or four lanes) of a node at an index. */
  store(id: number, index: readonly Affine[], value: Expr): void {
    const tensor = this.tensor(id, true);
    const address = this.placed(positionOf(index, this.type(id).shape, this.orderOf(id)), tensor);
    const form = laneForm(address);
    if (form !== "other") {
      const wide = form === "row" ? this.spread(value) : value;
      this.push({
        kind: "store",
        tensor,
        index: this.address(this.padAddress(withoutLane(address))).expr,
        value: wide,
      });
      return;
    }
    const named = this.bind({ expr: this.spread(value), depth: this.depth }, id).expr;
    for (const lane of [0, 1, 2, 3]) {
      const part: Expr = { kind: "component", of: named, at: lane, type: named.type };
      this.push({
        kind: "store",
        tensor,
        index: this.address(this.padAddress(atLane(address, lane))).expr,
        value: part,
      });
    }
  }
}

/** The lane variable. */
export const lane: Affine = affine.variable("~lane", 4, u32(0), 0, { lane: true });

/** Beyond the end of any binding. */
const farthest = 2 ** 30 + 1;

/** A constant of the graph. What compilers can make use of stays in the text. */
function constantOf(type: Scalar, value: number): Expr {
  const plain = type === "bool" || [0, 1, -1].includes(value) || !Number.isFinite(Math.fround(value));
  return { kind: "literal", type, value, ...(plain ? {} : { size: true }) };
}

export const zeroOf = (type: Scalar): Expr => (type === "f32" ? f32(0) : { kind: "literal", type, value: 0 });

export type { Val } from "./block-writer.ts";
