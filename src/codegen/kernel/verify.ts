/**
 * What holds for every kernel, whoever made it. `verifyKernel` throws `KERNEL-VERIFY-*` with all that does not:
 *
 * - `FORM`     sizes and places of tensors are words (the canonical form); ops are pointwise; arrays have items; features that it uses are enabled
 * - `NAME`     names are declared once, before they are used, in a block around the use; only variables are assigned
 * - `TYPE`     operands, results, names and tensors have the types that they are said to have; indices and bounds of loops are u32
 * - `LANES`    operands have one number or four as their operator takes them; vectors have four parts
 * - `BINDING`  tensors, words and arrays that are used exist; stores go to bindings that may be written, in whole words
 * - `BARRIER`  barriers and subgroups stand where all invocations of a workgroup come together: what decides on the way there, and the number
 *              of turns of a loop around them, are the same for all of them
 * - `MEMORY`   the workgroup and its memory are within the limits of the target
 */
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { byteWidth } from "../../ir/types.ts";
import { defaultLimits, type TargetLimits } from "../target.ts";
import type { Checker, Fault, NameKind, ValueType } from "./contexts.ts";
import { recordOf } from "./expressions.ts";
import { type Expr, type KernelIR, lanesOf, type Scalar, type Statement } from "./kernel.ts";
import { printStatements } from "./print.ts";
import { statementRecordOf } from "./statements.ts";
import { blocksOf, childrenOf, operandsOf } from "./walk.ts";

export function verifyKernel(kernel: KernelIR, limits: TargetLimits = defaultLimits): void {
  const [first, ...also] = new Verifier(kernel).run(limits);
  if (first === undefined) return;
  const { code, severity: _error, ...fields } = first;
  throw new WebpeftError(code, fields, { also });
}

interface Name extends ValueType {
  readonly kind: NameKind;
}

class Verifier implements Checker {
  private readonly found: Diagnostic[] = [];
  private readonly taken = new Set<string>();
  private readonly scopes: Map<string, Name>[] = [];
  /** The statement that is looked at. */
  private at: Statement | undefined;
  /** Whether all invocations of a workgroup are here together. */
  private isTogether = true;
  /** Names that invocations of a workgroup may know different values of. */
  private readonly own = new Set<string>();

  constructor(readonly kernel: KernelIR) {}

  run(limits: TargetLimits): readonly Diagnostic[] {
    const { workgroup, shared, tensors, bindings, body } = this.kernel;
    const bytes = shared.reduce((sum, { type, lanes, length }) => {
      return sum + length * lanes * byteWidth(type === "bool" ? "u32" : type);
    }, 0);
    const most = limits.maxComputeWorkgroupStorageSize;
    this.require(bytes <= most, "MEMORY", `${bytes} bytes of workgroup memory of ${most}`);
    const invocations = limits.maxComputeInvocationsPerWorkgroup;
    this.require(workgroup <= invocations, "MEMORY", `${workgroup} invocations of ${invocations}`);
    for (const { name, binding } of tensors)
      this.require(binding in bindings, "BINDING", `${name} in binding ${binding} of ${bindings.length}`);
    this.findOwn(body, true);
    this.block(body);
    return this.found;
  }

  readonly require = (holds: boolean, fault: Fault, got: string): void => {
    if (holds) return;
    const where = this.at === undefined ? "the kernel" : printStatements([this.at])[0]!.trim();
    const code = `KERNEL-VERIFY-${fault}` as const;
    this.found.push({ severity: "error", code, message: "a kernel is not well formed", where, got });
  };

  readonly scalar = (e: Expr, type: Scalar, what: string): void => {
    this.require(e.type === type, "TYPE", `${what} of ${e.type}`);
    this.require(lanesOf(e) === 1, "LANES", `${what} of ${lanesOf(e)}`);
  };

  readonly same = (e: Expr, meant: ValueType | undefined, what: string): void => {
    if (meant === undefined) return;
    this.require(e.type === meant.type, "TYPE", `${what}, of ${meant.type}, as ${e.type}`);
    this.require(lanesOf(e) === meant.lanes, "LANES", `${what}, of ${meant.lanes}, as ${lanesOf(e)}`);
  };

  readonly named = (name: string, kind: NameKind): ValueType | undefined => {
    const known = this.scopes.findLast((scope) => scope.has(name))?.get(name);
    const fits = known?.kind === kind || (kind === "value" && known?.kind === "variable");
    this.require(fits, "NAME", known === undefined ? `${name}, which is not known here` : `${name} as ${kind}`);
    return known;
  };

  readonly declare = (name: string, kind: NameKind, { type, lanes }: ValueType): void => {
    this.require(!this.taken.has(name), "NAME", `a second ${name}`);
    this.taken.add(name);
    this.scopes.at(-1)!.set(name, { kind, type, lanes });
  };

  readonly tensorType = (tensor: number): Scalar | undefined => {
    const known = this.kernel.tensors[tensor];
    this.require(known !== undefined, "BINDING", `tensor ${tensor} of ${this.kernel.tensors.length}`);
    return known?.dtype === "bf16" || known?.dtype === "f16" ? "f32" : known?.dtype;
  };

  readonly sharedArray = (name: string): ValueType | undefined => {
    const known = this.kernel.shared.find((array) => array.name === name);
    this.require(known !== undefined, "BINDING", `workgroup memory ${name}`);
    return known;
  };

  readonly together = (what: string): void =>
    this.require(this.isTogether, "BARRIER", `${what} that not all invocations may reach`);

  private block(body: readonly Statement[]): void {
    this.scopes.push(new Map());
    for (const s of body) this.statement(s);
    this.scopes.pop();
  }

  private statement(s: Statement): void {
    this.at = s;
    const operands = operandsOf(s);
    for (const e of operands) this.expression(e);
    const { isTogether } = this;
    const blocks = blocksOf(s);
    if (blocks.length === 0) {
      statementRecordOf(s).check(s, this);
      return;
    }
    // What a statement around a block declares is known in the block.
    this.scopes.push(new Map());
    statementRecordOf(s).check(s, this);
    this.isTogether = isTogether && operands.every((e) => this.isCommon(e));
    for (const inner of blocks) this.block(inner);
    this.scopes.pop();
    this.isTogether = isTogether;
  }

  private expression(e: Expr): void {
    for (const child of childrenOf(e)) this.expression(child);
    recordOf(e).check(e, this);
  }

  /** Whether all invocations of a workgroup have the same value. */
  private isCommon(e: Expr): boolean {
    switch (e.kind) {
      case "builtin":
        return e.name === "block";
      case "variable":
        return !this.own.has(e.name);
      case "load": {
        const { binding = -1 } = this.kernel.tensors[e.tensor] ?? {};
        return this.kernel.bindings[binding]?.access === "read" && this.isCommon(e.index);
      }
      case "shared":
        return false;
      case "item":
        return !this.own.has(e.array) && this.isCommon(e.index);
      default:
        return childrenOf(e).every((child) => this.isCommon(child));
    }
  }

  /** Fills `own`: names of values that differ, or that some invocations alone assign. What a loop finds may change what stands before it. */
  private findOwn(body: readonly Statement[], together: boolean): void {
    let before: number;
    do {
      before = this.own.size;
      for (const s of body) {
        const common = together && operandsOf(s).every((e) => this.isCommon(e));
        if ("name" in s && (!common || s.kind === "subgroup")) this.own.add(s.name);
        for (const inner of blocksOf(s)) this.findOwn(inner, common);
      }
    } while (this.own.size > before);
  }
}
