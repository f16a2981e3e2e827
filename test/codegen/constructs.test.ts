/** Every construct of kernel IR: its text, its WGSL, its value, and that the verifier takes it. A new kind needs a sample here. */
import { describe, expect, it } from "vitest";
import { interpret, type KernelIR, printKernel, verifyKernel } from "../../src/codegen/index.ts";
import { binary, type Expr, f32, partWords, type Statement, u32 } from "../../src/codegen/kernel/kernel.ts";
import type { operators } from "../../src/codegen/kernel/numbers.ts";
import { printWgsl } from "../../src/codegen/kernel/wgsl.ts";
import { openUniform, streamKey, threefry } from "../../src/ir/threefry.ts";

const local: Expr = { kind: "builtin", name: "local", type: "u32" };
const variable = (name: string, type: "f32" | "u32" = "f32"): Expr => ({ kind: "variable", name, type, lanes: 1 });
const four: Expr = { kind: "load", tensor: 0, index: u32(4), type: "f32", lanes: 4 };
const third: Expr = { kind: "component", of: four, at: 2, type: "f32" };
const toFloat = (e: Expr): Expr =>
  e.type === "f32" ? e : { kind: "op", op: "cast", args: [e], type: "f32", lanes: 1 };

/** Eight numbers from 10 on are read, words are 5 and the bits of 0.5; the number that the second of four invocations stores is the value. */
const kernelOf = (...body: Statement[]): KernelIR => ({
  doc: [],
  workgroup: 4,
  features: ["subgroups"],
  bindings: [
    { name: "b0", access: "read" },
    { name: "b1", access: "read_write" },
  ],
  tensors: [
    { name: "t0", dtype: "f32", binding: 0 },
    { name: "t1", dtype: "f32", binding: 1 },
  ],
  shared: [{ name: "partial", type: "f32", lanes: 1, length: 4 }],
  bases: [],
  sizes: 2,
  body,
});

function storedBy(kernel: KernelIR): number {
  const [read, written] = [Float32Array.from({ length: 8 }, (_v, i) => 10 + i), new Float32Array(4)];
  const record = partWords(kernel.sizes);
  const block = new Array<number>(4 * record).fill(0);
  for (let part = 0; part < 4; part++) block[part * record] = 1;
  block[2] = 5;
  block[3] = 0x3f000000;
  interpret(kernel, [new Uint32Array(read.buffer), new Uint32Array(written.buffer)], block, 1);
  return written[1]!;
}

const store = (e: Expr): Statement => ({ kind: "store", tensor: 1, index: local, value: toFloat(e) });
const item: Expr = { kind: "item", array: "a", index: local, type: "f32", lanes: 1 };

interface Sample {
  readonly body: readonly Statement[];
  readonly text: string;
  readonly wgsl: string;
  readonly value: number;
}

const of = (e: Expr, text: string, wgsl: string, value: number): Sample => ({ body: [store(e)], text, wgsl, value });
const random: Expr = {
  ...{ kind: "random", seed: u32(1), step: u32(2), counter: local, site: u32(3), tensor: u32(4), type: "f32" },
};

/** `base` stands in bodies that are not yet in canonical form only. */
const expressions: Readonly<Record<Exclude<Expr["kind"], "base">, Sample>> = {
  literal: of(f32(2.5), "2.5:f32", "= 2.5;", 2.5),
  size: of({ kind: "size", index: 1, type: "f32" }, "#1<f32>", "bitcast<f32>(sizes.number_0)", 0.5),
  variable: {
    ...{ body: [{ kind: "let", name: "x", value: f32(3) }, store(variable("x"))] },
    ...{ text: "= x", wgsl: "= x;", value: 3 },
  },
  builtin: of(local, "cast<f32>(local)", "f32(local)", 1),
  binary: of(binary("-", f32(1), f32(3)), "(1:f32 - 3:f32)", "1.0 - 3.0", -2),
  op: of({ kind: "op", op: "maximum", args: [f32(1), f32(3)], type: "f32", lanes: 1 }, "maximum(", "max(1.0, 3.0)", 3),
  random: of(
    random,
    "uniform(1, 2, 3, 4, local)",
    "uniform_number(1u, 2u, 3u, 4u, local)",
    Math.fround(openUniform(threefry(...streamKey(1, 2, 3, 4), 1, 0)[0])),
  ),
  load: of({ kind: "load", tensor: 0, index: local, type: "f32", lanes: 1 }, "%t0[local]", "in0[local]", 11),
  shared: {
    body: [
      { kind: "store-shared", array: "partial", index: u32(0), value: f32(7) },
      store({ kind: "shared", array: "partial", index: u32(0), type: "f32", lanes: 1 }),
    ],
    ...{ text: "= partial[0]", wgsl: "= partial[0u];", value: 7 },
  },
  item: {
    ...{ body: [{ kind: "array", name: "a", values: [f32(1), f32(2), f32(3), f32(4)] }, store(item)] },
    ...{ text: "= a[local]", wgsl: "= a[local];", value: 2 },
  },
  vector: of(
    {
      kind: "component",
      of: { kind: "vector", parts: [f32(1), f32(2), f32(3), f32(4)], type: "f32", lanes: 4 },
      at: 3,
      type: "f32",
    },
    "<1:f32, 2:f32, 3:f32, 4:f32>.w",
    "vec4<f32>(1.0, 2.0, 3.0, 4.0).w",
    4,
  ),
  component: of(third, "%t0[4..4].z", "in0[4u / 4u].z", 16),
};

const x = variable("x");
const declared: Statement = { kind: "var", name: "x", value: f32(1) };
const doubled: Statement = { kind: "assign", name: "x", value: binary("+", x, x) };

const statements: Readonly<Record<Statement["kind"], Sample>> = {
  let: expressions.variable,
  var: { body: [declared, store(x)], text: "var x = 1:f32", wgsl: "var x = 1.0;", value: 1 },
  assign: { body: [declared, doubled, store(x)], text: "x := (x + x)", wgsl: "x += x;", value: 2 },
  array: { ...expressions.item, text: "array a = [", wgsl: "var a = array<f32, 4>(1.0, 2.0, 3.0, 4.0);" },
  for: {
    body: [declared, { kind: "for", name: "k", from: u32(0), to: u32(9), step: u32(3), body: [doubled] }, store(x)],
    ...{ text: "for k = 0 to 9 step 3 {", wgsl: "for (var k = 0u; k < 9u; k += 3u) {", value: 8 },
  },
  if: {
    body: [declared, { kind: "if", condition: binary("<", local, u32(1)), body: [], otherwise: [doubled] }, store(x)],
    ...{ text: "if (local < 1) {", wgsl: "if (local < 1u) {", value: 2 },
  },
  store: of(f32(1), "store %t1[local] = 1:f32", "out0[local] = 1.0;", 1),
  "store-shared": { ...expressions.shared, text: "store partial[0] = 7:f32", wgsl: "partial[0u] = 7.0;" },
  barrier: {
    body: [
      { kind: "store-shared", array: "partial", index: local, value: toFloat(local) },
      { kind: "barrier" },
      store({ kind: "shared", array: "partial", index: u32(3), type: "f32", lanes: 1 }),
    ],
    ...{ text: "barrier", wgsl: "workgroupBarrier();", value: 3 },
  },
  subgroup: {
    body: [{ kind: "subgroup", name: "g", combine: "sum", value: local }, store(variable("g", "u32"))],
    ...{ text: "let g = subgroup sum of local", wgsl: "let g = subgroupAdd(local);", value: 6 },
  },
  comment: { body: [{ kind: "comment", text: "why" }, store(f32(1))], text: "// why", wgsl: "// why", value: 1 },
};

describe.each([
  ["expression", expressions],
  ["statement", statements],
])("%s", (_what, samples) => {
  it.each(Object.entries(samples))("%s", (_kind, { body, text, wgsl, value }) => {
    const kernel = kernelOf(...body);
    verifyKernel(kernel);
    expect(printKernel(kernel)).toContain(text);
    expect(printWgsl(kernel)).toContain(wgsl);
    expect(storedBy(kernel)).toBe(value);
  });
});

describe("operators", () => {
  const results: Readonly<Record<keyof typeof operators, number>> = {
    ...{ "+": 16, "-": 8, "*": 48, "/": 3, "%": 0, "<": 0, "&&": 1 },
    ...{ "&": 4, "|": 12, "^": 8, "<<": 192, ">>": 0 },
  };

  it.each(Object.entries(results))("12 %s 4", (operator, result) => {
    const [a, b] = [12, 4].map((n): Expr => (operator === "&&" ? binary("<", u32(0), u32(n)) : u32(n))) as [Expr, Expr];
    const kernel = kernelOf(store(binary(operator as keyof typeof operators, a, b)));
    verifyKernel(kernel);
    expect(printWgsl(kernel)).toContain(` ${operator} `);
    expect(storedBy(kernel)).toBe(result);
  });

  it("of bits wrap as u32 does", () => {
    const bits = (operator: "<<" | ">>" | "^", a: number, b: number): number =>
      storedBy(kernelOf(store(binary(operator, u32(a), u32(b)))));
    expect(bits("<<", 0x80000001, 1)).toBe(2);
    expect(bits(">>", 0x80000000, 31)).toBe(1);
    expect(bits("^", 0xffffffff, 0xfffffff0)).toBe(15);
  });
});

it("bodies that are not in canonical form are no kernels", () => {
  const kernel = kernelOf(store({ kind: "base", tensor: 0, type: "u32" }));
  expect(() => printWgsl(kernel)).toThrow("canonical");
  expect(() => verifyKernel(kernel)).toThrow(expect.objectContaining({ code: "KERNEL-VERIFY-FORM" }));
});
