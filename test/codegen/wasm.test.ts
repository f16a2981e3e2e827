/** The printer of WebAssembly: the binary format, the listing, the functions that it brings along, and what a kernel becomes. */
import { describe, expect, it } from "vitest";
import { generate, wasmTarget } from "../../src/codegen/index.ts";
import { FunctionWriter, get, tree } from "../../src/codegen/wasm/function-writer.ts";
import { encodeModule, link, printModule } from "../../src/codegen/wasm/index.ts";
import {
  type Instruction,
  instructions,
  type Opcode,
  unsigned,
  type WasmFunction,
} from "../../src/codegen/wasm/instructions.ts";
import { mathFunctions } from "../../src/codegen/wasm/math.ts";
import { Builder } from "../../src/ir/builder.ts";
import { erf } from "../../src/ir/erf.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { openUniform, streamKey, threefry } from "../../src/ir/threefry.ts";
import { generator, noStorage } from "../runtime/executor-samples.ts";

const memoryType = { pages: 1, most: 1, shared: false };

/** The functions of math, each exported as one that reads four numbers and writes four. */
function mathExports(): { readonly numbers: Float32Array; readonly exports: WebAssembly.Exports } {
  const functions = mathFunctions();
  const wrapped = functions.map(({ name }, at) => {
    if (name === "uniform") {
      const writer = new FunctionWriter(["i32", "i32", "i32", "i32", "i32"]);
      writer.push(tree("call", [0, 1, 2, 3, 4].map(get), at));
      return writer.finish(`of ${name}`, ["f32"], true);
    }
    const writer = new FunctionWriter(["i32", "i32"]);
    writer.push(tree("v128.store", [get(1), tree("call", [tree("v128.load", [get(0)], 0)], at)], 0));
    return writer.finish(`of ${name}`, [], true);
  });
  const binary = encodeModule({ memory: memoryType, globals: [], functions: [...functions, ...wrapped] });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory } });
  return { numbers: new Float32Array(memory.buffer), exports };
}

const math = mathExports();

function apply(name: string, x: number): number {
  math.numbers.fill(x, 0, 4);
  (math.exports[`of ${name}`] as (from: number, to: number) => void)(0, 16);
  expect(new Set(math.numbers.subarray(4, 8)).size).toBe(1);
  return math.numbers[4]!;
}

/** The distance of a number to the next one. */
function unit(x: number): number {
  const words = new Uint32Array(Float32Array.of(Math.abs(x)).buffer);
  words[0]! += 1;
  return new Float32Array(words.buffer)[0]! - Math.fround(Math.abs(x));
}

interface Claim {
  readonly name: string;
  readonly exact: (x: number) => number;
  readonly range: readonly [number, number];
  /** The largest error: in units of the last place, or absolute. */
  readonly units?: number;
  readonly most?: number;
}

const claims: readonly Claim[] = [
  { name: "exp", exact: Math.exp, range: [-87.3, 88.7], units: 1 },
  { name: "log", exact: Math.log, range: [1.2e-38, 1e30], units: 1 },
  { name: "tanh", exact: Math.tanh, range: [-20, 20], units: 2 },
  { name: "sigmoid", exact: (x) => 1 / (1 + Math.exp(-x)), range: [-100, 100], most: 1e-7 },
  { name: "sin", exact: Math.sin, range: [-3e9, 3e9], most: 1e-7 },
  { name: "cos", exact: Math.cos, range: [-3e9, 3e9], most: 1e-7 },
  { name: "sin", exact: Math.sin, range: [-1e5, 1e5], most: 1e-7 },
  { name: "cos", exact: Math.cos, range: [-1e5, 1e5], most: 1e-7 },
  { name: "erf", exact: erf, range: [-8, 8], most: 2e-7 },
];

describe("functions that WebAssembly lacks", () => {
  it.each(claims)("$name in $range", ({ name, exact, range: [low, high], units, most }) => {
    const random = generator(11);
    for (let i = 0; i < 20_000; i++) {
      const spread = low + (high - low) * random();
      // Half of them are near 0, or near 1 for the logarithm.
      const near = name === "log" ? 1 + (random() - 0.5) / 2 : spread * random() ** 8;
      const x = Math.fround(i % 2 === 0 ? spread : near);
      const expected = exact(x);
      const bound = units === undefined ? most! : units * unit(expected);
      if (Math.abs(apply(name, x) - expected) > bound)
        expect.fail(`${name}(${x}) = ${apply(name, x)}, not ${expected}`);
    }
  });

  it("keep what is no number, and the ends of all numbers", () => {
    const names = ["exp", "log", "sin", "cos", "tanh", "erf", "sigmoid"];
    for (const name of names) expect(apply(name, Number.NaN), name).toBeNaN();
    const ends = (x: number): number[] => ["exp", "tanh", "erf", "sigmoid"].map((name) => apply(name, x));
    expect(ends(Number.POSITIVE_INFINITY)).toEqual([Number.POSITIVE_INFINITY, 1, 1, 1]);
    expect(ends(Number.NEGATIVE_INFINITY)).toEqual([0, -1, -1, 0]);
    for (const x of [4e9, -1e12, 1e20, 3.4e38]) expect(Math.abs(apply("sin", x))).toBeLessThanOrEqual(1);
    expect(apply("cos", Number.POSITIVE_INFINITY)).toBeNaN();
    expect(apply("exp", -87.4)).toBe(0);
    expect(apply("log", 0)).toBe(Number.NEGATIVE_INFINITY);
    expect(apply("log", -1)).toBeNaN();
    expect(apply("log", Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  it("draw the numbers of the generator", () => {
    const uniform = math.exports["of uniform"] as (...args: number[]) => number;
    for (let i = 0; i < 100; i++) {
      const [k0, k1] = streamKey(7, i, 3, 2 * i);
      expect(uniform(7, i, 3, 2 * i, 1000 + i)).toBe(openUniform(threefry(k0, k1, 1000 + i, 0)[0]));
    }
  });
});

const nothing: WasmFunction = { name: "f", parameters: [], results: [], locals: [], body: [], exported: false };

describe("the binary format", () => {
  it("has every opcode as engines know it", () => {
    for (const op of Object.keys(instructions) as Opcode[]) {
      if (["else", "end", "call", "global.get", "br", "br_if", "f32x4.relaxed_madd"].includes(op)) continue;
      const { immediate } = instructions[op];
      const immediates = immediate === "bytes" ? new Array<number>(16).fill(1) : [0];
      // Behind `unreachable` operands are of whatever type they have to be.
      const unreachable: Instruction = { op: "unreachable", immediates: [] };
      const end: Instruction[] = immediate === "block" ? [{ op: "end", immediates: [] }] : [];
      const body = [unreachable, { op, immediates }, ...end, unreachable];
      const functions = [{ ...nothing, parameters: ["i32" as const], body }];
      expect(WebAssembly.validate(encodeModule({ memory: memoryType, globals: [], functions })), op).toBe(true);
    }
    const wrong = { ...nothing, body: [{ op: "i32.add", immediates: [] } as const] };
    expect(WebAssembly.validate(encodeModule({ memory: memoryType, globals: [], functions: [wrong] }))).toBe(false);
  });

  it("writes numbers in as many bytes as they need", () => {
    expect([0, 127, 128, 624485].map(unsigned)).toEqual([[0], [127], [128, 1], [0xe5, 0x8e, 0x26]]);
  });
});

function contraction() {
  const k = new Builder("contraction");
  const x = k.port("x", "input", "f32", [16, 24]);
  const w = k.port("w", "weight", "bf16", [8, 24]);
  const graph = k.finish([{ name: "y", node: k.einsum("tk,nk->tn", x, k.cast(w, "f32")) }]);
  return generate([{ name: "forward", graph }], noStorage, wasmTarget);
}

it("has one function for programs of all sizes, and another one where it could leave the memory", () => {
  const bodyIn = (bytes: number) => {
    const { module } = link(contraction(), { map: { bytes, addressOf: () => 1024 }, fuses: false });
    return module.functions.at(-1)!.body;
  };
  const large = bodyIn(65536);
  expect(bodyIn(131072)).toBe(large);
  const small = bodyIn(2048);
  expect(small.filter(({ op }) => op === "select").length).toBeGreaterThan(0);
  expect(bodyIn(65536)).toBe(large);
  expect(bodyIn(2048)).toEqual(small);
});

/** The text of the functions of a graph on processors. */
function functionsOf(graph: Graph, fuses = false): string {
  const generated = generate([{ name: "forward", graph }], noStorage, wasmTarget);
  const { module } = link(generated, { map: { bytes: 65536, addressOf: () => 1024 }, fuses });
  const functions = module.functions.map((f) => (f.exported ? f : { ...f, locals: [], body: [] }));
  return printModule({ ...module, functions, memory: memoryType });
}

it("keeps the sums of a tile in registers, and those that wait for something else in memory", () => {
  const k = new Builder("products");
  const [x, v, w] = [[32, 16] as const, [8, 16] as const, [8, 16] as const].map((shape, i) =>
    k.port(`p${i}`, "input", "f32", shape),
  ) as [number, number, number];
  const product = (by: number): number => k.einsum("tk,nk->tn", x, by);
  const bare = functionsOf(k.finish([{ name: "y", node: product(v) }]));
  const gated = functionsOf(k.finish([{ name: "y", node: k.mul(k.add("sigmoid", [product(v)]), product(w)) }]));
  // The copy of each panel stores eight vectors a turn; a tile of sums, and of the result, is eight.
  const stores = (text: string): number => text.split("v128.store").length - 1;
  expect([stores(bare), stores(gated)]).toEqual([8 + 8, 16 + 16 + 8]);
});

it("counts the columns of a mask in one vector", () => {
  const k = new Builder("mask");
  const [rows, columns] = [0, 1].map((axis) => k.add("iota", [], { shape: [16, 16], axis })) as [number, number];
  const text = functionsOf(k.finish([{ name: "y", node: k.add("le", [columns, rows]) }]));
  expect(text).toMatch(/i32x4\.splat\n\s+v128\.const i8x16 0 0 0 0 1 0 0 0 2 0 0 0 3 0 0 0\n\s+i32x4\.add/);
  expect(text).not.toContain("replace_lane");
});

it("prints a contraction as loops without index arithmetic", () => {
  const generated = contraction();
  const map = { bytes: 65536, addressOf: () => 1024 };
  const { module } = link(generated, { map, fuses: false, nameOf: ({ kernel }) => kernel });
  const text = printModule({ ...module, memory: memoryType });
  expect(text.slice(text.indexOf("  (func $contract"))).toMatchSnapshot();
  expect(WebAssembly.validate(encodeModule({ ...module, memory: memoryType }))).toBe(true);
});
