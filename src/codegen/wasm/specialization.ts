/** What a function is printed from, and what its text knows at one place. */
import type { KernelIR, Lanes, Scalar } from "../kernel/kernel.ts";
import type { FunctionWriter } from "./function-writer.ts";
import type { IndexForm } from "./index-form.ts";

/** A kernel with the sizes of one part of a dispatch. */
export interface Specialization {
  readonly kernel: KernelIR;
  /** The words that are sizes; places of tensors are undefined. */
  readonly sizes: readonly (number | undefined)[];
  /** Number of workgroups. */
  readonly blocks: number;
  /** By tensor: the highest address at which it begins in any call. */
  readonly highest: readonly number[];
  /** Bytes of the memory. Loads that are not known to lie inside are kept inside: what they give is dropped. */
  readonly memoryBytes: number;
  /** Whether products are added without rounding in between. */
  readonly fuses: boolean;
}

/** What a name of kernel IR stands for. */
type Named =
  /** A u32 that never changes, or an i32 that is one. */
  | { readonly kind: "index"; readonly form: IndexForm }
  | { readonly kind: "local"; readonly local: number; readonly isSpread: boolean }
  | ArrayPlace;

/** An array in memory of the thread's own, `offset` bytes behind its begin. */
export interface ArrayPlace {
  readonly kind: "array";
  readonly offset: number;
  readonly type: Scalar;
  readonly lanes: Lanes;
}

/** A loop whose body is being written. */
export interface Loop {
  readonly variable: number;
  readonly step: number;
  /** Locals from this one on are made inside of it. */
  readonly firstInside: number;
  readonly pointers: Map<string, Pointer>;
}

/** An address that grows with every turn of a loop. */
interface Pointer {
  readonly local: number;
  readonly form: IndexForm;
  readonly width: number;
  /** Bytes by which it grows. */
  readonly stride: number;
}

/** How far behind their begins tensors are read and written. */
export interface Reach {
  /** By tensor: bytes. */
  readonly ends: number[];
  /** Something is kept inside of a memory of this size, so that the function is for no other. */
  fixed: boolean;
}

export interface Context {
  readonly specialization: Specialization;
  readonly writer: FunctionWriter;
  readonly names: Map<string, Named>;
  /** Locals that are assigned again. */
  readonly variables: Set<number>;
  /** By word: the local of the place that it is. */
  readonly places: ReadonlyMap<number, number>;
  readonly block: IndexForm;
  /** The local with the address of memory of the thread's own. */
  readonly scratch: number;
  readonly shared: ReadonlyMap<string, ArrayPlace>;
  readonly loops: Loop[];
  /** Names of scalars that are only read as four equal lanes. */
  readonly spreads: ReadonlySet<string>;
  /** Takes bytes of the thread's memory. */
  readonly reserve: (bytes: number) => number;
  readonly reach: Reach;
}
