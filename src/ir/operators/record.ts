/**
 * The record of an operator: a linear map op[out, in] that is made of tensors, attributes and other operators. All that the compiler knows
 * of one stands in its record: its type, its matrix in f64, how it is transposed, applied and written out, and what that costs. The pass
 * `associate` asks the records and knows no operator by name; what records ask of it in turn is `OperatorLowering`.
 */
import type { Builder } from "../builder.ts";
import type { Attributes, Node } from "../graph.ts";
import type { OpRecord, Value } from "../op-record.ts";
import { operatorLevel, sizeOf } from "../ops/common.ts";
import type { OperatorType, Type } from "../types.ts";

/** The lowering of other operators, by id. Costs are flops, forward and, where gradients are wanted, backward. */
export interface OperatorLowering {
  readonly builder: Builder;
  /** False runs every product factor by factor: no two of them, and no sum, become a matrix before they are applied. */
  readonly fold: boolean;
  /** y[..., out] = x[..., in] through an operator. Throws COMPILE-LIMIT where a product repeats without end and has no matrix. */
  apply(id: number, x: number): number;
  /** y[..., in] = x[..., out] through the transposed operator. */
  applyTransposed(id: number, x: number): number;
  /** The transposed operator: `op.transpose` stands before nothing but leaves that are applied so. */
  transposed(id: number): number;
  /** The matrix [out, in]. */
  dense(id: number): number;
  /** Columns by number, i32[...s]: f32[...s, out]. */
  columns(id: number, ids: number): number;
  /** Where the entries of some columns stand, if every column has one at most. */
  columnEntry(id: number, ids: number): ColumnEntry | undefined;
  /** Whether it differs from vector to vector: it has no matrix then, and nothing that holds it may be folded. */
  varies(id: number): boolean;
  /** The cost of applying it to so many vectors. */
  flops(id: number, vectors: number): number;
  /** The cost of its matrix, forward only; infinite where it varies. */
  denseFlops(id: number): number;
  /** How often work with some nodes counts: parameters need gradients of their own. */
  weight(ids: readonly number[]): number;
}

/** A rule of the algebra: what the transposed operator is. */
export interface TransposeRule {
  readonly name: string;
  /** One line: `pattern -> replacement`. */
  readonly doc: string;
  /** The id of the transposed operator; `transposed` transposes those that it is made of. */
  rewrite(builder: Builder, id: number, transposed: (id: number) => number): number;
}

/** An instance for the loops over the records. Operators among the inputs are given as dense matrices. */
export interface OperatorExample {
  readonly inputs: readonly Type[];
  readonly attributes?: Attributes;
  /** Numbers of inputs that may not be any numbers, by place. */
  readonly data?: Readonly<Record<number, readonly number[]>>;
}

/** Where the one entry of some columns stands, f32[...s]: its row, and its value unless that is 1. */
export interface ColumnEntry {
  readonly row: number;
  readonly factor?: number;
}

export interface OperatorRecord extends OpRecord {
  /**
   * The matrix [out, in]: the oracle, which shares nothing with the rest of the record. Operators among the inputs are given as matrices.
   * `place`, from 0 up to but not including 1: of the vector among all of a batch, for operators that vary.
   */
  matrix(node: Node, inputs: readonly Value[], place: number): Value;
  /** Absent where the algebra leaves `op.transpose` before it. */
  readonly transpose?: TransposeRule;
  apply(lowering: OperatorLowering, node: Node, x: number): number;
  /** Of leaves that have a better way than to be transposed and applied; `transpose`, if there is one, is for the algebra only. */
  readonly applyTransposed?: (lowering: OperatorLowering, node: Node, x: number) => number;
  dense(lowering: OperatorLowering, node: Node): number;
  /** Columns by number where they need not be read from the matrix. */
  readonly columns?: (lowering: OperatorLowering, node: Node, ids: number) => number;
  /** Of operators whose columns have one entry at most. */
  readonly columnEntry?: (lowering: OperatorLowering, node: Node, ids: number) => ColumnEntry;
  flops(lowering: OperatorLowering, node: Node, vectors: number): number;
  denseFlops(lowering: OperatorLowering, node: Node): number;
  /** Whether it differs from vector to vector itself, and not for what it is made of. */
  readonly varies?: (node: Node) => boolean;
  readonly examples: readonly OperatorExample[];
}

/** What an operator comes to in the end: a tensor. With `eval` on operators as matrices. */
export interface ReadingRecord extends OpRecord {
  eval: NonNullable<OpRecord["eval"]>;
  lower(
    lowering: OperatorLowering & Choosing,
    inputs: readonly number[],
    scope: string,
    attributes: Attributes,
  ): number;
}

/** The decision that the pass makes. */
export interface Choosing {
  /** x through an operator, on the side that costs less. */
  applyCheapest(id: number, x: number, scope: string): number;
}

/** The record of a leaf, which is made of tensors and attributes alone. */
export interface Leaf
  extends Omit<OperatorRecord, "opClass" | "vjp" | "cost" | "dense" | "flops" | "denseFlops" | "columns"> {
  /** Absent where it varies whatever its attributes are. */
  readonly dense?: OperatorRecord["dense"];
  /** Flops to apply it to one vector. */
  readonly flopsPerVector: (builder: Builder, node: Node) => number;
  /** Flops of its matrix; one for every entry unless given. */
  readonly denseFlops?: number;
}

export const outOf = ({ type }: Node): number => (type as OperatorType).out;
export const inOf = ({ type }: Node): number => (type as OperatorType).in;
/** Entries of the matrix. */
export const entriesOf = (node: Node): number => outOf(node) * inOf(node);

export function leaf({ flopsPerVector, denseFlops, ...own }: Leaf): OperatorRecord {
  return {
    ...operatorLevel,
    dense: (_lowering, { op }) => {
      throw new Error(`${op} varies and has no matrix`);
    },
    ...own,
    flops: (l, node, vectors) => flopsPerVector(l.builder, node) * vectors * l.weight(node.inputs),
    denseFlops: (_lowering, node) => (own.varies?.(node) ? Number.POSITIVE_INFINITY : (denseFlops ?? entriesOf(node))),
  };
}

/** The cost of an operator as a matrix that takes `building` flops: to build it and to apply it to so many vectors. */
export const foldedFlops = (l: OperatorLowering, node: Node, vectors: number, building: number): number =>
  (building + 2 * entriesOf(node) * vectors) * l.weight(node.inputs);

/** The number of vectors that x [..., n] holds. */
export const vectorsOf = (builder: Builder, x: number): number => sizeOf(builder.shape(x).slice(0, -1));

/** The cost of a matrix whose entries are made of entries of the operands' matrices. */
export const entrywiseFlops = (l: OperatorLowering, node: Node): number =>
  node.inputs.reduce((sum, input) => sum + l.denseFlops(input), entriesOf(node) * node.inputs.length);
