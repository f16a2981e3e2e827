/** The verifier of kernel IR: every generated kernel passes, and each thing that can be wrong with one is found. */
import { describe, expect, it } from "vitest";
import { cpuTarget, defaultTarget, generate, type KernelIR, verifyKernel } from "../../src/codegen/index.ts";
import { binary, type Expr, f32, type Statement, u32 } from "../../src/codegen/kernel/kernel.ts";
import { opRecords } from "../../src/ir/registry.ts";
import { randomGraph } from "../runtime/executor-random-graph.ts";
import { noStorage, sampleGraph } from "../runtime/executor-samples.ts";
import { benchmarkSizes, trainingProgram } from "./training-program.ts";

describe.each([cpuTarget, defaultTarget])("generated kernels for a $kind target", (target) => {
  const check = (kernels: readonly { ir: KernelIR }[]): void => {
    for (const { ir } of kernels) verifyKernel(ir);
  };

  it("of a training step", () => {
    const { stages, storage } = trainingProgram({ ...benchmarkSizes, layers: 1 });
    check(generate(stages, storage, target).kernels);
  });

  it("of every op", () => {
    for (const record of opRecords().filter((r) => r.opClass !== "operator" && r.samples !== undefined))
      for (const sample of record.samples!())
        check(generate([{ name: "forward", graph: sampleGraph(record, sample) }], noStorage, target).kernels);
  });

  it("of random graphs", () => {
    for (let seed = 0; seed < 60; seed++)
      check(generate([{ name: "forward", graph: randomGraph(seed, 16).graph }], noStorage, target).kernels);
  });
});

const local: Expr = { kind: "builtin", name: "local", type: "u32" };
const block: Expr = { kind: "builtin", name: "block", type: "u32" };
const named = (name: string, type: "f32" | "u32" = "f32", lanes: 1 | 4 = 1): Expr => {
  return { kind: "variable", name, type, lanes };
};
const load = (tensor: number, index: Expr = u32(0)): Expr => ({ kind: "load", tensor, index, type: "f32", lanes: 1 });
const store = (value: Expr, tensor = 1): Statement => ({ kind: "store", tensor, index: local, value });
const barrier: Statement = { kind: "barrier" };
const when = (condition: Expr, ...body: Statement[]): Statement => ({ kind: "if", condition, body });
const loop = (from: Expr, to: Expr, ...body: Statement[]): Statement => {
  return { kind: "for", name: "k", from, to, step: u32(1), body };
};
const four: Expr = { kind: "vector", parts: [f32(0), f32(0), f32(0), f32(0)], type: "f32", lanes: 4 };

/** Reads tensor 0, writes tensor 1, has 32 numbers of workgroup memory and two words. */
const kernelOf = (...body: Statement[]): KernelIR => ({
  doc: [],
  workgroup: 16,
  features: [],
  bindings: [
    { name: "b0", access: "read" },
    { name: "b1", access: "read_write" },
  ],
  tensors: [
    { name: "t0", dtype: "f32", binding: 0 },
    { name: "t1", dtype: "f32", binding: 1 },
  ],
  shared: [{ name: "partial", type: "f32", lanes: 1, length: 32 }],
  bases: [],
  sizes: 2,
  body,
});

/** The codes, without what is common to them. */
function faults(kernel: KernelIR): string[] {
  try {
    verifyKernel(kernel);
    return [];
  } catch (error) {
    const { diagnostics } = error as { readonly diagnostics: readonly { readonly code: string }[] };
    return diagnostics.map(({ code }) => code.replace("KERNEL-VERIFY-", ""));
  }
}

const wrong: readonly (readonly [what: string, fault: string, ...body: readonly Statement[]])[] = [
  ["a size that is no word", "FORM", store({ kind: "literal", type: "f32", value: 2, size: true })],
  ["a place that is no word", "FORM", store(load(0, { kind: "base", tensor: 0, type: "u32" }))],
  ["an op of rows", "FORM", store({ kind: "op", op: "reduce_max", args: [f32(0)], type: "f32", lanes: 1 })],
  ["an array without items", "FORM", { kind: "array", name: "a0", values: [] }],
  ["a name that is not known", "NAME", store(named("x"))],
  [
    "a name after its block",
    "NAME",
    when(binary("<", local, u32(1)), { kind: "let", name: "x", value: f32(0) }),
    store(named("x")),
  ],
  ["a second name", "NAME", { kind: "let", name: "x", value: f32(0) }, { kind: "let", name: "x", value: f32(1) }],
  [
    "a constant that is assigned",
    "NAME",
    { kind: "let", name: "x", value: f32(0) },
    { kind: "assign", name: "x", value: f32(1) },
  ],
  ["a variable of another type", "TYPE", { kind: "let", name: "x", value: u32(0) }, store(named("x"))],
  ["a sum of two types", "TYPE", store(binary("+", f32(0), u32(0)))],
  ["a shift of a float", "TYPE", store(binary("<<", f32(1), f32(1)))],
  ["a condition that is a number", "TYPE", when(u32(1))],
  ["an index that is a float", "TYPE", store(load(0, f32(0)))],
  ["a store of another type", "TYPE", store(u32(0))],
  ["a loop over floats", "TYPE", loop(f32(0), u32(4))],
  [
    "a vector as an index",
    "LANES",
    store(load(0, { kind: "vector", parts: [local, local, local, local], type: "u32", lanes: 4 })),
  ],
  ["a component of a scalar", "LANES", store({ kind: "component", of: f32(0), at: 0, type: "f32" })],
  ["a vector as a scalar", "LANES", { kind: "let", name: "x", value: four }, store(named("x"))],
  ["a tensor that is not there", "BINDING", store(load(7))],
  ["a word that is not there", "BINDING", store({ kind: "size", index: 2, type: "f32" })],
  ["an array that is not there", "BINDING", { kind: "store-shared", array: "other", index: local, value: f32(0) }],
  ["a store into what is read", "BINDING", store(f32(0), 0)],
  ["a barrier for some", "BARRIER", when(binary("<", local, u32(4)), barrier)],
  ["a barrier by what was written", "BARRIER", when(binary("<", load(1), f32(4)), barrier)],
  ["a barrier in a loop of each its own length", "BARRIER", loop(u32(0), binary("+", local, u32(1)), barrier)],
  [
    "a barrier by a variable that a later turn makes different",
    "BARRIER",
    { kind: "var", name: "x", value: u32(0) },
    loop(u32(0), u32(4), when(binary("<", named("x", "u32"), u32(4)), barrier), {
      kind: "assign",
      name: "x",
      value: local,
    }),
  ],
  [
    "a barrier by a variable that some assign",
    "BARRIER",
    { kind: "var", name: "x", value: u32(0) },
    when(binary("<", local, u32(4)), { kind: "assign", name: "x", value: u32(1) }),
    when(binary("<", named("x", "u32"), u32(1)), barrier),
  ],
];

describe("the verifier", () => {
  it.each(wrong.map(([what, fault, ...body]) => ({ what, fault, body })))("finds $what", ({ fault, body }) => {
    expect(faults(kernelOf(...body))).toContain(fault);
  });

  it("finds a subgroup in a kernel that does not enable them, and for some invocations", () => {
    const sum: Statement = { kind: "subgroup", name: "x", combine: "sum", value: load(0, local) };
    expect(faults(kernelOf(sum))).toEqual(["FORM"]);
    expect(faults({ ...kernelOf(sum), features: ["subgroups"] })).toEqual([]);
    expect(faults({ ...kernelOf(when(binary("<", local, u32(4)), sum)), features: ["subgroups"] })).toEqual([
      "BARRIER",
    ]);
  });

  it("finds workgroups that are too large", () => {
    const shared = [{ name: "partial", type: "f32" as const, lanes: 4 as const, length: 1025 }];
    expect(faults({ ...kernelOf(), shared })).toEqual(["MEMORY"]);
    expect(faults({ ...kernelOf(), workgroup: 512 })).toEqual(["MEMORY"]);
  });

  const right: readonly (readonly [what: string, statement: Statement])[] = [
    ["a barrier that all reach", when(binary("<", block, u32(4)), barrier)],
    ["a barrier by what is only read", when(binary("<", load(0, block), f32(4)), barrier)],
    ["a barrier in a loop of one length", loop(u32(0), { kind: "size", index: 0, type: "u32" }, barrier)],
    [
      "bits",
      store({
        kind: "op",
        op: "cast",
        args: [binary(">>", binary("&", local, u32(12)), u32(2))],
        type: "f32",
        lanes: 1,
      }),
    ],
  ];

  it.each(right)("takes %s", (_what, statement) => {
    expect(faults(kernelOf(statement))).toEqual([]);
  });
});
