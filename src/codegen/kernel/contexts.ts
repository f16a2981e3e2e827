/** What the records of constructs work with: the printer of WGSL, the machine that runs a kernel, and the checker. */
import type { CodeAfter } from "../../ir/codes/index.ts";
import type { Expr, KernelIR, Lanes, Scalar, Statement, SubgroupOperation } from "./kernel.ts";

/** The text of expressions within one kernel. */
export interface WgslWriter {
  expr(e: Expr): string;
  /** Without the parentheses around it. */
  bare(e: Expr): string;
  literal(type: Scalar, value: number): string;
  word(index: number): string;
  op(op: string, args: readonly Expr[], type: Scalar, lanes: Lanes): string;
  /** `args` as the generator takes them. */
  random(args: readonly string[]): string;
  vector(parts: readonly Expr[], type: Scalar): string;
  load(tensor: number, index: Expr, lanes: Lanes): string;
  store(tensor: number, index: Expr, value: Expr): string[];
  /** Lines of statements that are inside of another one. */
  block(body: readonly Statement[]): string[];
}

/** A scalar, or the four of a vector. */
export type Value = number | readonly number[];

/** Where an invocation waits for others: at a barrier, or with its number for those of its subgroup. */
export type Pause = { readonly combine: SubgroupOperation; readonly type: Scalar; readonly value: number } | undefined;

export type Run = Generator<Pause, void, number | undefined>;

/** One invocation of a kernel. */
export interface Machine {
  readonly names: Map<string, Value>;
  readonly arrays: Map<string, readonly Value[]>;
  readonly shared: ReadonlyMap<string, Value[]>;
  readonly sizes: readonly number[];
  readonly block: number;
  readonly local: number;
  evaluate(e: Expr): Value;
  load(tensor: number, index: number): number;
  store(tensor: number, index: number, value: Value): void;
  run(body: readonly Statement[]): Run;
}

export interface ValueType {
  readonly type: Scalar;
  readonly lanes: Lanes;
}

export type Fault = CodeAfter<"KERNEL-VERIFY">;

/** What a name stands for. */
export type NameKind = "value" | "variable" | "array";

/** The state of a check at one place of the text. Properties, so that records can take them apart. */
export interface Checker {
  readonly kernel: KernelIR;
  readonly require: (holds: boolean, fault: Fault, got: string) => void;
  /** Requires one number of a type. */
  readonly scalar: (e: Expr, type: Scalar, what: string) => void;
  /** Requires the type and the lanes that what is meant has; nothing where it is unknown. */
  readonly same: (e: Expr, meant: ValueType | undefined, what: string) => void;
  /** What a name stands for here; reports names that stand for nothing, or for something else. */
  readonly named: (name: string, kind: NameKind) => ValueType | undefined;
  readonly declare: (name: string, kind: NameKind, of: ValueType) => void;
  readonly tensorType: (tensor: number) => Scalar | undefined;
  readonly sharedArray: (name: string) => ValueType | undefined;
  /** Requires that all invocations of a workgroup come here together. */
  readonly together: (what: string) => void;
}
