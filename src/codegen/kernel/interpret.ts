/**
 * Runs kernel IR in JavaScript, invocation by invocation, in f32 and 32-bit integers: the check of lowering without a device. Invocations of
 * a workgroup run as generators that stop at barriers. Reads outside a tensor give 0.
 */
import { erf } from "../../ir/erf.ts";
import { openUniform, streamKey, threefry } from "../../ir/threefry.ts";
import { type Expr, type KernelIR, partWords, type Scalar, type Statement } from "./kernel.ts";

/** The memory of one binding, as 32-bit words. */
export type BindingMemory = Uint32Array;

type Value = number | readonly number[];

interface Environment {
  readonly names: Map<string, Value>;
  readonly arrays: Map<string, readonly Value[]>;
  readonly shared: ReadonlyMap<string, Value[]>;
  readonly memory: readonly BindingMemory[];
  readonly sizes: readonly number[];
  readonly block: number;
  readonly local: number;
}

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);

const toBits = (value: number): number => {
  floats[0] = value;
  return words[0]!;
};
const fromBits = (bits: number): number => {
  words[0] = bits;
  return floats[0]!;
};

function expandHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Runs a dispatch of `workgroups` workgroups. `memory` is by binding and is written in place; `uniformBlock` is what the dispatch gives. */
export function interpret(
  kernel: KernelIR,
  memory: readonly BindingMemory[],
  uniformBlock: readonly number[],
  workgroups: number,
): void {
  const record = partWords(kernel.sizes);
  for (let workgroup = 0; workgroup < workgroups; workgroup++) {
    const part = [0, 1, 2, 3].find((i) => workgroup < uniformBlock[i * record]!);
    if (part === undefined) continue;
    const sizes = uniformBlock.slice(part * record + 2, (part + 1) * record);
    const block = workgroup - uniformBlock[part * record + 1]!;
    const shared = new Map(kernel.shared.map((s) => [s.name, new Array<Value>(s.length).fill(0)]));
    let running = Array.from({ length: kernel.workgroup }, (_unused, local) =>
      run(kernel, kernel.body, { names: new Map(), arrays: new Map(), shared, memory, sizes, block, local }),
    );
    while (running.length > 0) {
      const before = running.length;
      running = running.filter((invocation) => invocation.next().done !== true);
      if (running.length !== 0 && running.length !== before)
        throw new Error("a barrier that not all invocations reach");
    }
  }
}

function* run(kernel: KernelIR, body: readonly Statement[], env: Environment): Generator<void, void, void> {
  for (const s of body) {
    switch (s.kind) {
      case "let":
      case "var":
      case "assign":
        env.names.set(s.name, evaluate(kernel, s.value, env));
        break;
      case "array":
        env.arrays.set(
          s.name,
          s.values.map((value) => evaluate(kernel, value, env)),
        );
        break;
      case "for": {
        const step = evaluate(kernel, s.step, env) as number;
        for (let i = evaluate(kernel, s.from, env) as number; i < (evaluate(kernel, s.to, env) as number); i += step) {
          env.names.set(s.name, i);
          yield* run(kernel, s.body, env);
        }
        break;
      }
      case "if":
        yield* run(kernel, evaluate(kernel, s.condition, env) ? s.body : (s.otherwise ?? []), env);
        break;
      case "store":
        store(kernel, s.tensor, evaluate(kernel, s.index, env) as number, evaluate(kernel, s.value, env), env);
        break;
      case "store-shared":
        env.shared.get(s.array)![evaluate(kernel, s.index, env) as number] = evaluate(kernel, s.value, env);
        break;
      case "barrier":
        yield;
        break;
      case "comment":
        break;
    }
  }
}

function store(kernel: KernelIR, tensor: number, index: number, value: Value, env: Environment): void {
  const { binding, dtype } = kernel.tensors[tensor]!;
  const memory = env.memory[binding]!;
  const first = index;
  (typeof value === "number" ? [value] : value).forEach((v, lane) => {
    if (first + lane >= memory.length)
      throw new Error(`a store at ${first + lane}, outside ${kernel.tensors[tensor]!.name}`);
    memory[first + lane] = dtype === "f32" ? toBits(v) : v >>> 0;
  });
}

function load(kernel: KernelIR, tensor: number, index: number, env: Environment): number {
  const { binding, dtype } = kernel.tensors[tensor]!;
  const memory = env.memory[binding]!;
  const at = index >>> 0;
  if (dtype === "bf16" || dtype === "f16") {
    const half = ((memory[at >>> 1] ?? 0) >>> (16 * (at & 1))) & 0xffff;
    return dtype === "bf16" ? fromBits((half << 16) >>> 0) : expandHalf(half);
  }
  const word = memory[at] ?? 0;
  return dtype === "f32" ? fromBits(word) : dtype === "i32" ? word | 0 : dtype === "bool" ? Number(word !== 0) : word;
}

function evaluate(kernel: KernelIR, e: Expr, env: Environment): Value {
  switch (e.kind) {
    case "literal":
      return rounded(e.type, e.value);
    case "base":
      throw new Error("the kernel is not in canonical form");
    case "size":
      return e.type === "f32" ? fromBits(env.sizes[e.index]!) : rounded(e.type, env.sizes[e.index]!);
    case "variable":
      return env.names.get(e.name)!;
    case "builtin":
      return env[e.name];
    case "binary":
      return lanewise([evaluate(kernel, e.a, env), evaluate(kernel, e.b, env)], ([a, b]) =>
        arithmetic(e.operator, e.a.type, a!, b!),
      );
    case "op":
      return lanewise(
        e.args.map((a) => evaluate(kernel, a, env)),
        (args) => rounded(e.type, pointwise(e.op, args, e.type, e.args[0]!.type)),
      );
    case "random": {
      const [seed, step, site, tensor, counter] = [e.seed, e.step, e.site, e.tensor, e.counter].map(
        (x) => evaluate(kernel, x, env) as number,
      );
      const [k0, k1] = streamKey(seed!, step!, site!, tensor!);
      return Math.fround(openUniform(threefry(k0, k1, counter!, 0)[0]));
    }
    case "load": {
      const index = evaluate(kernel, e.index, env) as number;
      return e.lanes === 1
        ? load(kernel, e.tensor, index, env)
        : [0, 1, 2, 3].map((lane) => load(kernel, e.tensor, index + lane, env));
    }
    case "shared":
      return env.shared.get(e.array)![evaluate(kernel, e.index, env) as number]!;
    case "item":
      return env.arrays.get(e.array)![evaluate(kernel, e.index, env) as number]!;
    case "vector":
      return e.parts.map((p) => evaluate(kernel, p, env) as number);
    case "component":
      return (evaluate(kernel, e.of, env) as readonly number[])[e.at]!;
  }
}

function lanewise(args: readonly Value[], f: (args: readonly number[]) => number): Value {
  if (args.every((a) => typeof a === "number")) return f(args as number[]);
  return [0, 1, 2, 3].map((lane) => f(args.map((a) => (typeof a === "number" ? a : a[lane]!))));
}

function rounded(type: Scalar, value: number): number {
  if (type === "f32") return Math.fround(value);
  return type === "u32" ? value >>> 0 : type === "i32" ? value | 0 : Number(value !== 0);
}

function arithmetic(operator: string, type: Scalar, a: number, b: number): number {
  switch (operator) {
    case "+":
      return rounded(type, a + b);
    case "-":
      return rounded(type, a - b);
    case "*":
      return type === "f32" ? Math.fround(a * b) : rounded(type, Math.imul(a, b));
    case "/":
      return type === "f32" ? Math.fround(a / b) : rounded(type, Math.trunc(a / b));
    case "%":
      return rounded(type, a % b);
    case "<":
      return Number(a < b);
    default:
      return Number(a !== 0 && b !== 0);
  }
}

const unary: Readonly<Record<string, (x: number) => number>> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  not: (x) => Number(x === 0),
};

function pointwise(op: string, args: readonly number[], to: Scalar, from: Scalar): number {
  const [a, b, c] = args as [number, number, number];
  const simple = unary[op];
  if (simple !== undefined) return simple(a);
  switch (op) {
    case "add":
      return arithmetic("+", from, a, b);
    case "sub":
      return arithmetic("-", from, a, b);
    case "mul":
      return arithmetic("*", from, a, b);
    case "div":
      return arithmetic("/", from, a, b);
    case "mod":
      return a % b;
    case "maximum":
      return Math.max(a, b);
    case "minimum":
      return Math.min(a, b);
    case "lt":
      return Number(a < b);
    case "le":
      return Number(a <= b);
    case "eq":
      return Number(a === b);
    case "and":
      return Number(a !== 0 && b !== 0);
    case "select":
      return a !== 0 ? b : c;
    case "cast":
      return to === "i32" || to === "u32" ? Math.trunc(a) : a;
    default:
      throw new Error(`${op} cannot be interpreted`);
  }
}
