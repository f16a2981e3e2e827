/** Writes the body of a WebAssembly function: expressions are trees, statements go to the end of the text. */
import type { Instruction, Opcode, ValueType, WasmFunction } from "./instructions.ts";

/** An instruction with the ones that make its operands. */
export interface Tree {
  readonly op: Opcode;
  readonly immediates: readonly number[];
  readonly operands: readonly Tree[];
}

export const tree = (op: Opcode, operands: readonly Tree[], ...immediates: readonly number[]): Tree => ({
  op,
  immediates,
  operands,
});

export const i32 = (value: number): Tree => tree("i32.const", [], value | 0);
export const f32 = (value: number): Tree => tree("f32.const", [], Math.fround(value));

/** Four equal numbers. */
export const f32x4 = (value: number): Tree => quad(new Uint8Array(Float32Array.of(value, value, value, value).buffer));
export const f64x2 = (value: number): Tree => quad(new Uint8Array(Float64Array.of(value, value).buffer));
/** Four words, or one word four times. */
export const i32x4 = (words: number | Int32Array): Tree =>
  quad(new Uint8Array((typeof words === "number" ? Int32Array.of(words, words, words, words) : words).buffer));
const quad = (bytes: Uint8Array): Tree => tree("v128.const", [], ...bytes);

export const get = (local: number): Tree => tree("local.get", [], local);

/** Whether it is a constant of this number. */
export const isConstant = (t: Tree, value: number): boolean => t.op === "i32.const" && t.immediates[0] === (value | 0);

export class FunctionWriter {
  private readonly locals: ValueType[] = [];
  private body: Instruction[] = [];

  constructor(private readonly parameters: readonly ValueType[]) {}

  /** A new local. */
  local(type: ValueType): number {
    return this.parameters.length + this.locals.push(type) - 1;
  }

  /** Writes a tree, operands first. */
  push({ op, immediates, operands }: Tree): void {
    for (const operand of operands) this.push(operand);
    this.body.push({ op, immediates });
  }

  set(local: number, value: Tree): void {
    this.push(tree("local.set", [value], local));
  }

  /** Names a value. */
  bind(type: ValueType, value: Tree): Tree {
    const local = this.local(type);
    this.set(local, value);
    return get(local);
  }

  when(condition: Tree, body: () => void, otherwise?: () => void): void {
    this.push(tree("if", [condition]));
    body();
    if (otherwise !== undefined) {
      this.push(tree("else", []));
      otherwise();
    }
    this.push(tree("end", []));
  }

  /** Instructions again and again while the condition holds behind them; the first turn is not tested. */
  repeat(body: readonly Instruction[], condition: Tree): void {
    this.push(tree("loop", []));
    this.append(body);
    this.push(tree("br_if", [condition], 0));
    this.push(tree("end", []));
  }

  /** The instructions that `write` makes, apart from the text. */
  apart(write: () => void): readonly Instruction[] {
    const before = this.body;
    this.body = [];
    write();
    const made = this.body;
    this.body = before;
    return made;
  }

  append(instructions: readonly Instruction[]): void {
    for (const instruction of instructions) this.body.push(instruction);
  }

  /** How many locals there are: those that come later have this number or a higher one. */
  get localCount(): number {
    return this.parameters.length + this.locals.length;
  }

  finish(name: string, results: readonly ValueType[] = [], exported = false): WasmFunction {
    return { name, parameters: this.parameters, results, locals: this.locals, body: this.body, exported };
  }
}
