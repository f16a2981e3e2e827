/**
 * Builds a graph node by node. Every node is typed on the way in by its op record; equal nodes (op, inputs, attributes) are shared.
 * Two-argument arithmetic broadcasts as numpy does, by explicit `broadcast` nodes.
 */
import { WebpeftError } from "./diagnostics.ts";
import type { Attributes, Graph, Node, Output, PortRole, SourceLocation } from "./graph.ts";
import { NodeIndex } from "./node-index.ts";
import { opRecord } from "./registry.ts";
import { inferredType, sharedAmong, sharedAttributes } from "./shared.ts";
import { type DType, fitsF32, type OperatorType, sameShape, type TensorType, type Type, typeText } from "./types.ts";

export interface NodeContext {
  readonly scope?: string | undefined;
  readonly location?: SourceLocation | undefined;
  readonly phase?: Node["phase"];
  readonly chunk?: string | undefined;
  readonly from?: readonly number[] | undefined;
}

const nothing: NodeContext = {
  scope: undefined,
  location: undefined,
  phase: undefined,
  chunk: undefined,
  from: undefined,
};

/** What a context says, and of an outer one the rest. */
const joined = (own: NodeContext, outer: NodeContext): NodeContext => ({
  scope: own.scope ?? outer.scope,
  location: own.location ?? outer.location,
  phase: own.phase ?? outer.phase,
  chunk: own.chunk ?? outer.chunk,
  from: own.from ?? outer.from,
});

const noAttributes: Attributes = {};

export class Builder {
  private readonly nodes: Node[] = [];
  private readonly known = new NodeIndex();
  private readonly ports = new Map<string, Attributes>();
  private context: NodeContext = nothing;
  private prefix = "";
  private frozen = false;

  constructor(readonly name: string) {}

  /** Runs `body` with nodes tagged by the context; the former context is restored. */
  within<T>(context: NodeContext, body: () => T): T {
    const before = this.context;
    this.context = before === nothing ? context : joined(context, before);
    try {
      return body();
    } finally {
      this.context = before;
    }
  }

  /** Runs `body` with a prefix before the names of the parameters and buffers whose ports it makes; weights and inputs keep theirs. */
  prefixed<T>(prefix: string, body: () => T): T {
    const before = this.prefix;
    this.prefix = `${before}${prefix}`;
    try {
      return body();
    } finally {
      this.prefix = before;
    }
  }

  /** Runs `body` without the prefixes: for ports that those who are prefixed share. */
  unprefixed<T>(body: () => T): T {
    const before = this.prefix;
    this.prefix = "";
    try {
      return body();
    } finally {
      this.prefix = before;
    }
  }

  /** Runs `body` with parameters that do not train: their ports are buffers. */
  frozenIf<T>(frozen: boolean, body: () => T): T {
    const before = this.frozen;
    this.frozen ||= frozen;
    try {
      return body();
    } finally {
      this.frozen = before;
    }
  }

  /** Appends a node and returns its id; `inputs` must stay as they are. Throws `IR-TYPE` when the inputs do not fit. */
  add(op: string, inputs: readonly number[], attributes = noAttributes, context: NodeContext = nothing): number {
    const shared = op === "port" ? sharedAmong(this.ports, attributes) : sharedAttributes(attributes);
    const hash = this.known.hash(inputs, shared);
    const before = this.known.find(hash, op, inputs, shared);
    if (before !== undefined) return before;
    const id = this.make(op, inputs, shared, context);
    this.known.put(hash, op, inputs, shared, id);
    return id;
  }

  /** The id of a node that there is not yet; `attributes` are shared ones. */
  protected make(op: string, inputs: readonly number[], attributes: Attributes, context: NodeContext): number {
    const type = this.infer(op, inputs, attributes);
    const { scope, location, phase, chunk, from } = context === nothing ? this.context : joined(context, this.context);
    this.nodes.push({ op, inputs, attributes, type, scope, location, phase, chunk, from });
    return this.nodes.length - 1;
  }

  private infer(op: string, inputs: readonly number[], attributes: Attributes): Type {
    const record = opRecord(op);
    const fits = record.arity === "variadic" ? inputs.length >= 1 : inputs.length === record.arity;
    if (!fits)
      throw new WebpeftError("IR-TYPE", {
        message: `${op} has another number of inputs`,
        where: op,
        expected: String(record.arity),
        got: String(inputs.length),
      });
    const types: Type[] = [];
    for (let i = 0; i < inputs.length; i++) types.push(this.type(inputs[i]!));
    return inferredType(record, types, attributes);
  }

  finish(outputs: readonly Output[]): Graph {
    return { name: this.name, nodes: [...this.nodes], outputs: [...outputs] };
  }

  /** Where in the graph that is being rebuilt nodes come from now. */
  protected get origin(): readonly number[] {
    return this.context.from ?? [];
  }

  get size(): number {
    return this.nodes.length;
  }

  node(id: number): Node {
    return this.nodes[id]!;
  }

  type(id: number): Type {
    const node = this.nodes[id];
    if (node === undefined) throw new Error(`${this.name} has no node ${id}`);
    return node.type;
  }

  tensorType(id: number): TensorType {
    const type = this.type(id);
    if (type.kind !== "tensor")
      throw new WebpeftError("IR-TYPE", { message: "a tensor is wanted here, not an operator", got: typeText(type) });
    return type;
  }

  shape(id: number): readonly number[] {
    return this.tensorType(id).shape;
  }

  port(name: string, role: PortRole, dtype: DType, shape: readonly number[], more: Attributes = {}): number {
    const full = role === "param" || role === "buffer" ? `${this.prefix}${name}` : name;
    const settled = role === "param" && this.frozen ? "buffer" : role;
    return this.add("port", [], { name: full, role: settled, dtype, shape: [...shape], ...more });
  }

  /** Throws `IR-TYPE` for a number that f32 does not hold. */
  constant(value: number, shape: readonly number[] = [], dtype: DType = "f32"): number {
    if (dtype === "f32" && !fitsF32(value))
      throw new WebpeftError("IR-TYPE", {
        message: "a number of the graph is not finite in f32",
        expected: "at most 3.4028e38",
        got: String(value),
      });
    return this.add("constant", [], { value, dtype, shape: [...shape] });
  }

  constantLike(id: number, value: number): number {
    return this.constant(value, this.shape(id), this.tensorType(id).dtype);
  }

  zerosLike(id: number): number {
    return this.constantLike(id, 0);
  }

  iota(shape: readonly number[], axis: number): number {
    return this.add("iota", [], { axis, shape: [...shape] });
  }

  private arithmetic(op: string, a: number, b: number): number {
    const shape = commonShape(op, this.shape(a), this.shape(b));
    return this.add(op, [this.broadcastTo(a, shape), this.broadcastTo(b, shape)]);
  }

  plus(a: number, b: number): number {
    return this.arithmetic("add", a, b);
  }
  sub(a: number, b: number): number {
    return this.arithmetic("sub", a, b);
  }
  mul(a: number, b: number): number {
    return this.arithmetic("mul", a, b);
  }
  div(a: number, b: number): number {
    return this.arithmetic("div", a, b);
  }
  compare(op: "lt" | "le" | "eq" | "and", a: number, b: number): number {
    return this.arithmetic(op, a, b);
  }
  neg(a: number): number {
    return this.add("neg", [a]);
  }
  /** a times a compile-time number. */
  scale(a: number, factor: number): number {
    return factor === 1 ? a : this.add("mul", [a, this.constantLike(a, factor)]);
  }
  select(condition: number, a: number, b: number): number {
    return this.add("select", [condition, a, b]);
  }
  cast(a: number, dtype: DType): number {
    return this.tensorType(a).dtype === dtype ? a : this.add("cast", [a], { dtype });
  }

  reshape(a: number, shape: readonly number[]): number {
    return sameShape(this.shape(a), shape) ? a : this.add("reshape", [a], { shape: [...shape] });
  }
  transpose(a: number, permutation: readonly number[]): number {
    return permutation.every((axis, i) => axis === i)
      ? a
      : this.add("transpose", [a], { permutation: [...permutation] });
  }
  broadcast(a: number, shape: readonly number[], axes: readonly number[]): number {
    return sameShape(this.shape(a), shape) ? a : this.add("broadcast", [a], { shape: [...shape], axes: [...axes] });
  }
  slice(a: number, start: readonly number[], limit: readonly number[]): number {
    const whole = start.every((s, i) => s === 0 && limit[i] === this.shape(a)[i]);
    return whole ? a : this.add("slice", [a], { start: [...start], limit: [...limit] });
  }
  concat(parts: readonly number[], axis: number): number {
    return parts.length === 1 ? parts[0]! : this.add("concat", parts, { axis });
  }
  sum(a: number, axes: readonly number[]): number {
    return axes.length === 0 ? a : this.add("sum", [a], { axes: [...axes] });
  }
  max(a: number, axes: readonly number[]): number {
    return this.add("reduce_max", [a], { axes: [...axes] });
  }
  einsum(spec: string, a: number, b: number): number {
    return this.add("einsum", [a, b], { spec });
  }

  /** numpy broadcasting of one tensor to a shape: trailing axes align, axes of extent 1 repeat. */
  broadcastTo(a: number, shape: readonly number[]): number {
    const own = this.shape(a);
    if (sameShape(own, shape)) return a;
    const offset = shape.length - own.length;
    const axes = own.map((_n, i) => i + offset).filter((axis, i) => own[i] === shape[axis]);
    const squeezed = this.reshape(
      a,
      axes.map((axis) => shape[axis]!),
    );
    return this.broadcast(squeezed, shape, axes);
  }

  /** The matrix [out, in] as an operator. */
  dense(matrix: number): number {
    return this.add("op.dense", [matrix]);
  }
  /** y[..., out] = x[..., in] through the operator. */
  apply(operator: number, x: number): number {
    return this.add("op.apply", [operator, x]);
  }
  operator(id: number): OperatorType {
    const type = this.type(id);
    if (type.kind !== "operator")
      throw new WebpeftError("IR-TYPE", { message: "an operator is wanted here, not a tensor", got: typeText(type) });
    return type;
  }
}

/** The shape that two tensors broadcast to, as numpy does; throws `IR-TYPE` when they do not go together. */
export function commonShape(op: string, a: readonly number[], b: readonly number[]): readonly number[] {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_unused, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new WebpeftError("IR-TYPE", {
        message: `${op} cannot broadcast these shapes`,
        where: op,
        expected: `[${a.join(",")}]`,
        got: `[${b.join(",")}]`,
      });
    }
    return Math.max(m, n);
  });
}
