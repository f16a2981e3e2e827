/**
 * Turns the value of a graph node at an index into kernel IR. Stored values become loads, pointwise ops expressions, movement ops maps of
 * the index, `uniform` an inline counter. A node that was computed already at the same index is used again, in the outermost block where its
 * operands are known, so that loop-invariant work leaves the loop by itself.
 *
 * An index may hold the *lane* variable (0 .. 3, see `affine.ts`): the value then has four lanes. Loads of four elements in a row become one
 * load; what cannot be done on four lanes at once is done per lane.
 */
import type { Graph, Node } from "../ir/graph.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import type { Affine } from "./affine.ts";
import * as affine from "./affine.ts";
import { binary, type Expr, f32, lanesOf, type Scalar, type Statement, sizeLiteral, u32 } from "./kernel.ts";
import { moveIndex } from "./movement.ts";
import { type AxisOrder, positionOf } from "./order.ts";

/** An expression and the depth of the innermost block that it needs. */
export interface Val {
  readonly expr: Expr;
  readonly depth: number;
}

/** A stored value that the body of a kernel reads or writes. */
export interface TensorUse {
  readonly node: number;
  readonly writes: boolean;
  /** Order of its axes in memory. */
  readonly order: AxisOrder;
}

export const scalarType = (type: TensorType): Scalar =>
  type.dtype === "bf16" || type.dtype === "f16" ? "f32" : type.dtype;

export class Emitter {
  readonly tensors: TensorUse[] = [];
  private readonly blocks: Statement[][] = [[]];
  private readonly memos: Map<string, Val>[] = [new Map()];
  /** Whether divisors outside of loops are part of the text. */
  divides: "by words" | "by literals" = "by literals";
  private names = 0;
  private pads: readonly affine.Atom[] = [];

  constructor(
    private readonly graph: Graph,
    /** Nodes whose values are in memory when the kernel runs. */
    readonly isInMemory: (node: number) => boolean,
    /** In what order the axes of a stored value are in memory. */
    private readonly orderOf: (node: number) => AxisOrder,
  ) {}

  get depth(): number {
    return this.blocks.length - 1;
  }

  get body(): Statement[] {
    return this.blocks[0]!;
  }

  push(statement: Statement): void {
    this.blocks.at(-1)!.push(statement);
  }

  fresh(prefix = "t"): string {
    return `${prefix}${this.names++}`;
  }

  /** Runs `make` in a new block and gives its statements. */
  block(make: () => void): Statement[] {
    this.blocks.push([]);
    this.memos.push(new Map());
    make();
    this.memos.pop();
    return this.blocks.pop()!;
  }

  /** Runs `make` inside of `depth` blocks and gives the statements of all. */
  nested(depth: number, make: () => void): Statement[] {
    if (depth === this.depth) make();
    else this.push({ kind: "if", condition: u32(1), body: this.block(() => this.nested(depth, make)) });
    return this.body;
  }

  /** `for (name = from; name < to; name += step)`; `make` gets the loop variable as an index in [0, extent). */
  loop(from: Expr, to: Expr, step: Expr, extent: number, make: (at: Affine) => void): void {
    const name = this.fresh("k");
    const body = this.block(() => {
      make(affine.variable(sortable(name), extent, { kind: "variable", name, type: "u32", lanes: 1 }, this.depth));
    });
    this.push({ kind: "for", name, from, to, step, body });
  }

  when(condition: Expr, make: () => void): void {
    this.push({ kind: "if", condition, body: this.block(make) });
  }

  /** Names a u32 expression, as an index in [0, extent). */
  index(expr: Expr, extent: number, depth = this.depth): Affine {
    return affine.variable(...this.named(expr, extent, depth));
  }

  private named(expr: Expr, extent: number, depth: number): [string, number, Expr, number] {
    const bound = this.bind({ expr, depth }).expr;
    return [sortable(bound.kind === "variable" ? bound.name : this.fresh("i")), extent, bound, depth];
  }

  /** The value as a variable, declared in the block of its depth. */
  bind(value: Val): Val {
    const { expr, depth } = value;
    if (expr.kind === "variable" || expr.kind === "literal") return value;
    const name = this.fresh();
    this.blocks[depth]!.push({ kind: "let", name, value: expr });
    return { expr: { kind: "variable", name, type: expr.type, lanes: lanesOf(expr) }, depth };
  }

  /** Tells the value of a node at an index: what a loop has reduced, what an accumulator holds. */
  preset(node: number, index: readonly Affine[], value: Val): void {
    this.memos.at(-1)!.set(memoKey(node, index), value);
  }

  private recall(key: string): Val | undefined {
    for (let depth = this.depth; depth >= 0; depth--) {
      const found = this.memos[depth]!.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private remember(key: string, value: Val): Val {
    this.memos[value.depth]!.set(key, value);
    return value;
  }

  /** An address or index as a u32 expression; the part that outer blocks know is named there. */
  address(a: Affine): Val {
    const key = `@${affine.keyOf(a)}`;
    const known = this.recall(key);
    if (known !== undefined) return known;
    const depth = affine.depthOf(a);
    const inner = a.terms.filter((t) => t.atom.depth === depth);
    const outer = a.terms.filter((t) => t.atom.depth < depth);
    if (outer.length > 0) {
      const base = this.bind(this.address({ ...a, terms: outer }));
      this.remember(`@${affine.keyOf({ ...a, terms: outer })}`, base);
      return this.remember(key, { expr: this.sum(inner, 0, base.expr), depth });
    }
    const made = { expr: this.sum(inner, a.constant), depth };
    return this.remember(key, a.terms.some((t) => t.atom.kind !== "variable") ? this.bind(made) : made);
  }

  private sum(terms: readonly affine.Term[], constantPart: number, base?: Expr): Expr {
    let sum = base;
    for (const { factor, atom } of terms) {
      const isPlain = factor === 1 && !this.pads.some((p) => p.key === atom.key);
      const scaled = isPlain ? this.atom(atom) : this.scaled(this.atom(atom), Math.abs(factor));
      if (sum === undefined) sum = factor < 0 ? binary("-", u32(0), scaled) : scaled;
      else sum = binary(factor < 0 ? "-" : "+", sum, scaled);
    }
    if (sum === undefined) return sizeLiteral(constantPart);
    if (constantPart === 0) return sum;
    return binary(constantPart < 0 ? "-" : "+", sum, sizeLiteral(Math.abs(constantPart)));
  }

  private scaled(e: Expr, factor: number): Expr {
    return binary("*", e, sizeLiteral(factor));
  }

  private atom(atom: affine.Atom): Expr {
    if (atom.kind === "variable") return atom.expr;
    const key = `#${atom.key}`;
    const known = this.recall(key);
    if (known !== undefined) return known.expr;
    const of = this.address(atom.of).expr;
    // Outside of loops a division costs little; inside, and where it is most of the work, a literal divisor is far cheaper.
    const by = this.divides === "by words" && atom.depth < 2 ? sizeLiteral(atom.by) : u32(atom.by);
    const expr = binary(atom.kind === "div" ? "/" : "%", of, by);
    return this.remember(key, this.bind({ expr, depth: atom.depth })).expr;
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
      .filter((a) => a.kind === "variable" && a.lane !== true);
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
    return { ...a, terms: terms.sort((x, y) => (x.atom.key < y.atom.key ? -1 : 1)) };
  }

  /** The address in the binding; tensors begin at multiples of four elements. */
  private placed(position: Affine, tensor: number): Affine {
    const expr: Expr = { kind: "base", tensor, type: "u32" };
    const key = `~base${tensor}`;
    return affine.add(
      position,
      affine.atomAffine({ kind: "variable", key, max: farthest, expr, depth: 0, aligned: true }),
    );
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
    return this.remember(key, this.bind(made));
  }

  private load(id: number, index: readonly Affine[]): Val {
    const type = this.type(id);
    const tensor = this.tensor(id);
    const address = this.placed(positionOf(index, type.shape, this.orderOf(id)), tensor);
    const form = affine.laneForm(address);
    if (form === "other") return this.perLane(id, index);
    const at = this.address(this.padAddress(form === "row" ? affine.withoutLane(address) : address));
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
        index.map((a) => affine.atLane(a, lane)),
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
    const at = this.recall(key) ?? this.remember(key, this.bind({ expr: cast, depth: row.depth }));
    const rows = this.type(node.inputs[0]!).shape[0]!;
    const name = at.expr.kind === "variable" ? at.expr.name : "row";
    const rowIndex = affine.variable(name, rows, at.expr, at.depth);
    return this.value(node.inputs[0]!, [rowIndex, ...index.slice(rank)]);
  }

  /** Whether 0 <= a < extent: always, never, or by a test; undefined when the lanes of `a` differ. */
  private guard(a: Affine, extent: number): Val | boolean | undefined {
    if (a.lo >= 0 && a.hi < extent) return true;
    if (a.hi < 0 || a.lo >= extent) return false;
    if (affine.hasLane(a) && (affine.laneForm(a) !== "row" || extent % 4 !== 0)) return undefined;
    const at = this.address(affine.withoutLane(a));
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
    const value = this.value(
      node.inputs[0]!,
      inner.map((a, i) => affine.within(a, Math.max(a.lo, 0), Math.min(a.hi, shape[i]! - 1))),
    );
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
      return this.value(
        p.input,
        index.map((a, i) => (i === axis ? narrowed : a)),
      );
    };
    return reached
      .slice(0, -1)
      .reduceRight((rest, p) => this.choose(p.guard as Val, partValue(p), rest), partValue(reached.at(-1)!));
  }

  /** Stores a value (of one or four lanes) of a node at an index. */
  store(id: number, index: readonly Affine[], value: Expr): void {
    const tensor = this.tensor(id, true);
    const address = this.placed(positionOf(index, this.type(id).shape, this.orderOf(id)), tensor);
    const form = affine.laneForm(address);
    if (form !== "other") {
      const wide = form === "row" ? this.spread(value) : value;
      this.push({
        kind: "store",
        tensor,
        index: this.address(this.padAddress(affine.withoutLane(address))).expr,
        value: wide,
      });
      return;
    }
    const named = this.bind({ expr: this.spread(value), depth: this.depth }).expr;
    for (const lane of [0, 1, 2, 3]) {
      const part: Expr = { kind: "component", of: named, at: lane, type: named.type };
      this.push({
        kind: "store",
        tensor,
        index: this.address(this.padAddress(affine.atLane(address, lane))).expr,
        value: part,
      });
    }
  }
}

/** The lane variable. */
export const lane: Affine = affine.variable("~lane", 4, u32(0), 0, true);

/** Beyond the end of any binding. */
const farthest = 2 ** 30;

/** A constant of the graph. What compilers can make use of stays in the text. */
function constantOf(type: Scalar, value: number): Expr {
  const plain = type === "bool" || [0, 1, -1].includes(value) || !Number.isFinite(Math.fround(value));
  return { kind: "literal", type, value, ...(plain ? {} : { size: true }) };
}

export const zeroOf = (type: Scalar): Expr => (type === "f32" ? f32(0) : { kind: "literal", type, value: 0 });

/** A name with its number in six digits, so that terms of sums are in order of creation. */
const sortable = (name: string): string => name.replace(/[0-9]+$/, (digits) => digits.padStart(6, "0"));

function memoKey(node: number, index: readonly Affine[]): string {
  return `${node}|${index.map(affine.keyOf).join("|")}`;
}
