/**
 * Kernel IR: a small structured imperative language as plain data. One kernel is a list of statements run by every invocation.
 *
 * Values are scalars (f32, i32, u32, bool) or four of them (`lanes` 4). Index arithmetic is u32 and wraps. Tensors are addressed by
 * element; a load or store of 4 lanes covers elements i .. i + 3 with i a multiple of 4. bf16 and f16 tensors are read as f32.
 * Loads outside a tensor give some number (they happen under a `select` that drops it).
 *
 * Literals marked `size` (extents, strides, offsets, factors of the graph) and the places of tensors become words of a uniform block (`canonical.ts`), so
 * that kernels of different shapes share one text. Names are given in order of appearance; equal text is the same kernel.
 *
 * A dispatch may run a kernel several times at once, as *parts* with sizes and places of their own. The uniform block holds `mostParts`
 * records: `end` (the first workgroup behind the part), `first` (its first workgroup), and the words; see `partWords`.
 */
import type { DType } from "../../ir/types.ts";

export type Scalar = "f32" | "i32" | "u32" | "bool";
export type Lanes = 1 | 4;

/** Bits are those of u32; shifts are by the last five bits of what they shift by. */
export type BinaryOperator = "+" | "-" | "*" | "/" | "%" | "<" | "&&" | "&" | "|" | "^" | "<<" | ">>";

export type Expr =
  | {
      readonly kind: "literal";
      readonly type: Scalar;
      readonly value: number;
      readonly size?: boolean;
      /** What the number is: sizes of one name and value are one word. Without it every size has a word of its own. */
      readonly word?: string;
    }
  /** Element where a tensor begins in its binding, a multiple of four. */
  | { readonly kind: "base"; readonly tensor: number; readonly type: "u32" }
  /** A word of the sizes of the part that the workgroup works on. */
  | { readonly kind: "size"; readonly index: number; readonly type: "u32" | "i32" | "f32" }
  | { readonly kind: "variable"; readonly name: string; readonly type: Scalar; readonly lanes: Lanes }
  /** `block`: index of the workgroup within its part; `local`: of the invocation in the workgroup. */
  | { readonly kind: "builtin"; readonly name: "block" | "local"; readonly type: "u32" }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly a: Expr;
      readonly b: Expr;
      readonly type: Scalar;
      readonly lanes: Lanes;
    }
  /** A pointwise op of the graph. */
  | {
      readonly kind: "op";
      readonly op: string;
      readonly args: readonly Expr[];
      readonly type: Scalar;
      readonly lanes: Lanes;
    }
  /** Uniform number in (0, 1): key (seed, step) and stream (site, tensor), counter `counter`. */
  | {
      readonly kind: "random";
      readonly seed: Expr;
      readonly step: Expr;
      readonly counter: Expr;
      readonly site: Expr;
      readonly tensor: Expr;
      readonly type: "f32";
    }
  | {
      readonly kind: "load";
      readonly tensor: number;
      readonly index: Expr;
      readonly type: Scalar;
      readonly lanes: Lanes;
    }
  | {
      readonly kind: "shared";
      readonly array: string;
      readonly index: Expr;
      readonly type: Scalar;
      readonly lanes: Lanes;
    }
  /** An item of an array of the invocation's own. */
  | {
      readonly kind: "item";
      readonly array: string;
      readonly index: Expr;
      readonly type: Scalar;
      readonly lanes: Lanes;
    }
  | { readonly kind: "vector"; readonly parts: readonly Expr[]; readonly type: Scalar; readonly lanes: 4 }
  | { readonly kind: "component"; readonly of: Expr; readonly at: number; readonly type: Scalar };

export type Statement =
  | { readonly kind: "let"; readonly name: string; readonly value: Expr }
  | { readonly kind: "var"; readonly name: string; readonly value: Expr }
  | { readonly kind: "assign"; readonly name: string; readonly value: Expr }
  /** An array of the invocation's own. */
  | { readonly kind: "array"; readonly name: string; readonly values: readonly Expr[] }
  | {
      readonly kind: "for";
      readonly name: string;
      readonly from: Expr;
      readonly to: Expr;
      readonly step: Expr;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: "if";
      readonly condition: Expr;
      readonly body: readonly Statement[];
      readonly otherwise?: readonly Statement[];
    }
  | { readonly kind: "store"; readonly tensor: number; readonly index: Expr; readonly value: Expr }
  | { readonly kind: "store-shared"; readonly array: string; readonly index: Expr; readonly value: Expr }
  | { readonly kind: "barrier" }
  /**
   * Names what the invocations of a subgroup make of their numbers together, as all of them get it, or (`exclusive sum`) each the sum of those
   * before it. Which invocations are one, and in which order, is the device's affair.
   */
  | { readonly kind: "subgroup"; readonly name: string; readonly combine: SubgroupOperation; readonly value: Expr }
  | { readonly kind: "comment"; readonly text: string };

export type SubgroupOperation = "sum" | "maximum" | "exclusive sum";

/** A tensor that a kernel reads or writes; `binding` is the index of the storage binding that holds it. */
export interface KernelTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly binding: number;
}

export interface KernelBinding {
  readonly name: string;
  readonly access: "read" | "read_write";
}

/** An array in workgroup memory, of scalars or of vectors. */
export interface SharedArray {
  readonly name: string;
  readonly type: Scalar;
  readonly lanes: Lanes;
  readonly length: number;
}

export interface KernelIR {
  readonly doc: readonly string[];
  readonly workgroup: number;
  /** WGSL features that it enables. */
  readonly features: readonly string[];
  readonly bindings: readonly KernelBinding[];
  readonly tensors: readonly KernelTensor[];
  readonly shared: readonly SharedArray[];
  /** Number of words of one part. */
  readonly sizes: number;
  /** What the words are, or nothing; for people only. */
  readonly words?: readonly string[];
  /** By tensor: the word that is its place in the binding. */
  readonly bases: readonly number[];
  readonly body: readonly Statement[];
}

/** Parts of one dispatch. */
export const mostParts = 4;

/** Words of one record of the uniform block: `end`, `first`, the sizes, rounded up to whole vectors of four. */
export const partWords = (sizes: number): number => Math.ceil((2 + sizes) / 4) * 4;

export const lanesOf = (e: Expr): Lanes => ("lanes" in e ? e.lanes : 1);
export const u32 = (value: number): Expr => ({ kind: "literal", type: "u32", value: value >>> 0 });
export const f32 = (value: number): Expr => ({ kind: "literal", type: "f32", value });
export const sizeLiteral = (value: number, word?: string): Expr => ({
  kind: "literal",
  type: "u32",
  value,
  size: true,
  ...(word === undefined ? {} : { word }),
});

export function binary(operator: BinaryOperator, a: Expr, b: Expr): Expr {
  const lanes: Lanes = lanesOf(a) === 4 || lanesOf(b) === 4 ? 4 : 1;
  const type = operator === "<" || operator === "&&" ? "bool" : a.type;
  return { kind: "binary", operator, a, b, type, lanes };
}
