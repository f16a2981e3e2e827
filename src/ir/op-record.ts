/**
 * The record of an operation.  Everything the compiler knows about an op stands in its record: types, f64 evaluation, derivative,
 * cost, samples for tests, and how it is lowered. Completeness is a loop over the registry in the tests.
 */
import type { Builder } from "./builder.ts";
import type { Cut } from "./cuts.ts";
import type { Attributes, Node } from "./graph.ts";
import type { TensorType, Type } from "./types.ts";

/** A tensor of the f64 evaluator, row-major. Integers and booleans (0, 1) are held as f64 too. */
export interface Value {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface Cost {
  readonly flops: number;
  /** Bytes read and written when the op runs as a kernel of its own. */
  readonly bytes: number;
}

/**
 * How the tensor-level op is lowered to kernels:
 * - `leaf`      ports, constants, iota: no inputs
 * - `pointwise` result[i] depends on inputs[..][i] only
 * - `movement`  result is a view: an index map over its inputs
 * - `reduce`, `contraction`  as named
 * - `gather`, `scatter`      table lookups by index tensors
 * - `random`    counter-based: a function of the element's index and scalar inputs
 * - `matrix`    small batched linear algebra (inverse)
 * - `composite` a formula of other ops, which `simplify` puts in its place once derivatives are taken
 * - `operator`  operator level; gone after `associate`
 */
type OpClass =
  | "leaf"
  | "pointwise"
  | "movement"
  | "reduce"
  | "contraction"
  | "gather"
  | "scatter"
  | "random"
  | "matrix"
  | "composite"
  | "operator";

export interface VjpContext {
  readonly builder: Builder;
  readonly node: Node;
  /** Ids, in the builder's graph, of the node's inputs and of its result. */
  readonly inputs: readonly number[];
  readonly output: number;
  /** Id of the gradient of the result; same type as the result. */
  readonly cotangent: number;
  /** Which inputs need a gradient; others may be answered with null. */
  readonly needed: readonly boolean[];
}

/**
 * What the value of an attribute is: `integer`, finite `number`, `integers` (a list, none negative), `shape` (a list, all positive),
 * `text`, a `dtype`, a port's `role`.
 */
export type AttributeKind = "integer" | "number" | "integers" | "shape" | "text" | "dtype" | "role";

/** One random instance of an op for gradient checks, evaluation against tfjs, and fuzzing. */
export interface OpSample {
  readonly inputs: readonly TensorType[];
  readonly attributes: Attributes;
  /** Range of the input values; default [-1, 1]. For index inputs: [0, n - 1]. */
  readonly ranges?: readonly (readonly [number, number])[];
}

export interface OpRecord {
  readonly name: string;
  readonly opClass: OpClass;
  /** Number of inputs, or `variadic` (one or more). */
  readonly arity: number | "variadic";
  /** The attributes, all of them required; absent when there are none. */
  readonly attributes?: Readonly<Record<string, AttributeKind>>;
  /** Whether further attributes may stand beside the declared ones (ports carry details of files). */
  readonly moreAttributes?: boolean;
  /** One line for documentation: what it computes, with shapes. */
  readonly doc: string;
  /** Type of the result. Throws `WebpeftError` (code `IR-TYPE`) with the reason when the inputs do not fit. */
  infer(inputs: readonly Type[], attributes: Attributes): Type;
  /** f64 evaluation: the oracle. Absent for ports (the evaluator is given their data) and operator-level ops. */
  eval?(inputs: readonly Value[], attributes: Attributes, type: TensorType): Value;
  /** Gradients of the inputs, or null where there is none. `nondifferentiable` is an explicit answer; leaving it out is not. */
  readonly vjp?: ((context: VjpContext) => readonly (number | null)[]) | "nondifferentiable";
  cost(inputs: readonly Type[], attributes: Attributes, type: Type): Cost;
  readonly samples?: () => readonly OpSample[];
  /** The axes along which the op can be done part by part; pointwise ops along all, without being asked. Absent: none. */
  readonly cuts?: (inputs: readonly TensorType[], attributes: Attributes, type: TensorType) => readonly Cut[];
  /** Composite ops: the formula, of other ops. */
  readonly expand?: (builder: Builder, inputs: readonly number[], attributes: Attributes) => number;
  /** Pointwise ops: the WGSL expression, given the texts of the arguments and the attributes. */
  readonly wgsl?: (args: readonly string[], attributes: Attributes) => string;
}
