/** X-LoRA: one layer with PEFT's numbers and with those of the extensions, and what a program that mixes adapters keeps, saves and refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Expert, elaborateModel, evaluation, methods, unknownBase } from "../../src/methods/index.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import type { Session, SessionBatch } from "../../src/runtime/session/session.ts";
import { type GoldenCase, loadCase } from "../golden/helpers.ts";
import { difference } from "../runtime/executor-samples.ts";
import { fieldsOf } from "./helpers.ts";

type Fields = Readonly<Record<string, FieldValue>>;

const method = methods.get("XLORA")!;
const [inputs, outputs, tokens, rank] = [8, 12, 3, 2];
const filled = (count: number, f: (k: number) => number): number[] =>
  Array.from({ length: count }, (_unused, k) => Math.fround(f(k)));
const fill = (count: number, j: number): number[] =>
  filled(count, (k) => 0.3 * Math.sin((0.61 + 0.05 * j) * k + 0.1 * (j + 1)));

/** Expert i: rank 2, alpha 4 (i + 1). */
const expert = (i: number): Expert => ({
  fields: { peft_type: "LORA", use_dora: false, bias: "none", lora_bias: false },
  delta: (_path, b) => {
    const [A, B] = [
      b.port(`A${i}`, "buffer", "f32", [rank, inputs]),
      b.port(`B${i}`, "buffer", "f32", [outputs, rank]),
    ];
    return b.add("op.scale", [b.add("op.compose", [b.dense(B), b.dense(A)]), b.constant(2 * (i + 1))]);
  },
});

/** Layer outputs and gates of three tokens whose hidden states are the layer's inputs. */
function layer(changed: Fields): { y: number[]; gates: number[]; tensors: string[] } {
  const fields = fieldsOf(method, { hidden_size: inputs, xlora_size: 5, ...changed });
  const site = {
    path: "q",
    kind: "linear",
    in: inputs,
    out: outputs,
    fields,
    index: 0,
    bias: "b",
    layout: "linear",
    from: "adapters",
  } as const;
  const elaboration = elaborateModel(method, {
    ...{
      sites: [site],
      situation: evaluation,
      fields,
      sink: new DiagnosticSink(),
      base: { ...unknownBase, hiddenWidth: inputs },
    },
    ...{ present: new Set(Object.keys(changed)), experts: [0, 1, 2].map(expert) },
  });
  const b = new Builder("layer");
  const weight = b.dense(b.port("W", "weight", "f32", [outputs, inputs]));
  const x = b.port("x", "input", "f32", [1, tokens, inputs]);
  const scalar = (name: string): number => b.port(name, "input", "u32", []);
  const scalars = {
    ...{ seed: scalar("seed"), step: scalar("step"), sampleOffset: scalar("sample_offset"), pass: scalar("pass") },
    training: b.constant(0),
  };
  const pass = { scalars, samples: 1, hidden: x };
  const made = elaboration.site(0, b, { weight, base: weight, ...pass });
  const y = b.plus(b.apply(made.weight, x), b.port("b", "weight", "f32", [outputs]));
  const gates = elaboration.reports(b, pass).get("scalings")!;
  const graph = associate(
    rewrite(
      b.finish([
        { name: "y", node: y },
        { name: "gates", node: gates },
      ]),
      algebraRules,
    ).graph,
    {
      train: false,
    },
  ).graph;
  const data: Record<string, ArrayLike<number>> = {
    W: filled(outputs * inputs, (k) => 0.8 * Math.sin(0.37 * k + 0.5)),
    b: filled(outputs, (k) => 0.5 * Math.sin(0.9 * k + 0.2)),
    x: filled(tokens * inputs, (k) => Math.sin(0.7 * k + 0.3)),
    ...Object.fromEntries(["seed", "step", "sample_offset", "pass"].map((name) => [name, [0]])),
  };
  for (const i of [0, 1, 2]) {
    data[`A${i}`] = fill(rank * inputs, 2 * i);
    data[`B${i}`] = fill(outputs * rank, 2 * i + 1);
  }
  // Weight and bias of every layer in turn.
  const keys = elaboration.tensors
    .map(({ key }) => key)
    .sort((p, q) => {
      const place = (key: string): number => 2 * Number(key.split(".").at(-2)) + (key.endsWith("bias") ? 1 : 0);
      return place(p) - place(q);
    });
  keys.forEach((key, j) => {
    const { shape } = elaboration.tensors.find((tensor) => tensor.key === key)!;
    data[key] = fill(
      shape.reduce((p, n) => p * n, 1),
      6 + j,
    ).map((value) => Math.fround(4 * value));
  });
  const results = evaluate(graph, data);
  return {
    y: [...results.y!.data],
    gates: [...results.gates!.data],
    tensors: keys.map((key) => key.split("classifier.")[1]!),
  };
}

describe("one layer", () => {
  const sharp = { softmax_temperature: 0.5, top_k_lora: 2 };
  const raw = { enable_softmax: false, top_k_lora: 2, enable_softmax_topk: true, global_scaling_weight: 1.5 };
  it.each<[string, Fields, number[], number[]]>([
    ["depth 1", {}, [0.972938, 0.025125, 0.001938], [1.255529, 0.09587, 0.947606, 0.169504, -1.893157, 7.34381]],
    [
      "depth 2",
      { xlora_depth: 2 },
      [0.950265, 0.045292, 0.004443],
      [1.300614, 0.131833, 0.901708, 0.129029, -2.14574, 6.59116],
    ],
    [
      "two experts of a token",
      { xlora_depth: 2, ...sharp },
      [0.997712, 0.002266, 0.000022],
      [1.20691, 0.055939, 0.99664, 0.215206, -2.15123, 6.59215],
    ],
    [
      "rms",
      { xlora_depth: 2, layernorm_type: "rms" },
      [0.967037, 0.028828, 0.004135],
      [1.268581, 0.104088, 0.933435, 0.161728, -2.151173, 6.60074],
    ],
    [
      "layer norm",
      { xlora_depth: 2, layernorm_type: "layer" },
      [0.9624, 0.032171, 0.00543],
      [1.278471, 0.110866, 0.922919, 0.154845, -2.151218, 6.60429],
    ],
    [
      "no bias",
      { xlora_depth: 2, use_bias: false },
      [0.226462, 0.117426, 0.656113],
      [3.227894, 0.857643, -1.387318, -0.142937, -2.144154, 8.12781],
    ],
    [
      "softmax of the largest",
      { xlora_depth: 2, ...raw },
      [2.75362, -0.289994, -2.611775],
      [1.261542, 0.34369, 1.032134, -0.014604, -2.945289, 6.31838],
    ],
  ])("%s", (_what, fields, gates, wanted) => {
    const made = layer(fields);
    made.gates.slice(0, 3).forEach((gate, i) => {
      expect(gate).toBeCloseTo(gates[i]!, 5);
    });
    const sum = made.y.reduce((a, y) => a + y, 0);
    [...made.y.slice(0, 4), made.y.at(-1)!, sum].forEach((y, i) => {
      expect(y).toBeCloseTo(wanted[i]!, 4);
    });
  });

  it("numbers the classifier's layers as PEFT does, with and without dropout between them", () => {
    const weights = (fields: Fields): string[] => layer(fields).tensors.filter((key) => key.endsWith("weight"));
    expect(weights({ xlora_depth: 3 })).toEqual(["layers.0.weight", "layers.3.weight", "layers.6.weight"]);
    expect(weights({ xlora_depth: 3, xlora_dropout_p: 0 })).toEqual([
      "layers.0.weight",
      "layers.2.weight",
      "layers.4.weight",
    ]);
  });
});

describe("a program", () => {
  let cpu: Executor;
  let given: GoldenCase;
  const folder = mkdtempSync(join(tmpdir(), "webpeft-xlora-"));
  const sizes = { batch: 2, length: 8, mask: true };
  const batch = (): SessionBatch => given.inputs as SessionBatch;

  beforeAll(async () => {
    [cpu, given] = [wasmExecutor(), await loadCase("llama-xlora-depth2")];
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The case with some fields changed. */
  async function started(changed: Fields, options: Parameters<typeof compile>[2] = {}): Promise<Session> {
    const adapter = { ...given.adapter, config: { ...given.adapter.config, ...changed } };
    return (await compile(given.model, adapter, { ...sizes, ...options })).start({ device: cpu, adapter });
  }

  it("reports the gates of the last pass, by token, layer and expert", async () => {
    const session = await started({});
    expect((await session.report("scalings")).data.every((gate) => gate === 0)).toBe(true);
    await session.forward(batch());
    const { shape, data } = await session.report("scalings");
    expect(shape).toEqual([2, 8, 4, 2]);
    for (let i = 0; i < data.length; i += 2) expect(data[i]! + data[i + 1]!).toBeCloseTo(1, 6);
    await session.step(batch(), { lr: 0.1 });
    await session.step(batch(), { lr: 0.1 });
    expect(difference((await session.report("scalings")).data, data)).toBeGreaterThan(1e-3);
    await expect(session.report("gates")).rejects.toMatchObject({ code: "SESSION-REPORT" });
    session.dispose();
  });

  it("merges for fixed gates to what the experts add with them, and for no others", async () => {
    const session = await started({});
    await expect(session.merge()).rejects.toMatchObject({ code: "MERGE-OPTION" });
    await expect(session.merge(undefined, { gates: [1] })).rejects.toMatchObject({ code: "MERGE-OPTION" });
    const merged = await session.merge(undefined, { gates: [0.25, 0.75] });
    const alone = await (await compile(merged, null, { ...sizes, mode: "infer" })).start({ device: cpu });
    const options = { ...sizes, mode: "infer" as const, asMerged: true, fold: false };
    const program = await compile(given.model, given.adapter, options);
    const fixed = await program.start({ device: cpu, adapter: given.adapter, fixed: { gates: [0.25, 0.75] } });
    const wanted = (await fixed.forward(batch())).logits;
    expect(difference((await alone.forward(batch())).logits, wanted)).toBeLessThan(1e-5);
    expect(difference((await session.forward(batch())).logits, wanted)).toBeGreaterThan(1e-3);
    for (const one of [session, alone, fixed]) one.dispose();
  });

  it("saves itself with its experts, which train too where the config says so", async () => {
    const session = await started({ use_trainable_adapters: true });
    const before = await session.forward(batch());
    for (let i = 0; i < 2; i++) await session.step(batch(), { lr: 0.05 });
    const after = await session.forward(batch());
    expect(difference(after.logits, before.logits)).toBeGreaterThan(1e-3);
    await session.save(join(folder, "trained"));
    session.dispose();
    const adapter = await readAdapter(join(folder, "trained"));
    const key = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";
    const values = async (from: typeof adapter): Promise<Uint8Array> =>
      (await from.experts!.get("0")!.tensors.read(key)).bytes;
    expect(await values(adapter)).not.toEqual(await values(given.adapter));
    const again = await (await compile(given.model, adapter, sizes)).start({ device: cpu, adapter });
    expect(difference((await again.forward(batch())).logits, after.logits)).toBeLessThan(1e-6);
    again.dispose();
  });

  it("leaves the experts as they are otherwise, and gives them no gradient", async () => {
    const session = await started({});
    for (let i = 0; i < 2; i++) await session.step(batch(), { lr: 0.05 });
    const files = await session.files();
    const { gradients } = await session.gradients(batch());
    expect(Object.keys(gradients).every((key) => key.includes("internal_xlora_classifier"))).toBe(true);
    const read = await readAdapter(Object.fromEntries(files));
    for (const name of ["0", "1"])
      for (const key of read.experts!.get(name)!.tensors.tensors.keys())
        expect(await read.experts!.get(name)!.tensors.read(key)).toEqual(
          await given.adapter.experts!.get(name)!.tensors.read(key),
        );
    session.dispose();
  });

  it("adds experts in the first pass with the weight of the config", async () => {
    const [silent, loud] = [await started({}), await started({ scaling_pass_value: 0.5 })];
    const logits = await Promise.all([silent, loud].map(async (session) => (await session.forward(batch())).logits));
    expect(difference(logits[0]!, logits[1]!)).toBeGreaterThan(1e-4);
    for (const session of [silent, loud]) session.dispose();
  });

  it("runs the plain base first where nothing is added there, and what both passes compute once", async () => {
    const { stages } = await compile(given.model, given.adapter, { ...sizes, mode: "infer" });
    const forward = stages.find(({ name }) => name === "forward")!.graph;
    const products = forward.nodes.filter((node) => node.op === "einsum").length;
    const base = await compile(given.model, null, { ...sizes, mode: "infer" });
    const ofBase = base.stages
      .find(({ name }) => name === "forward")!
      .graph.nodes.filter((node) => node.op === "einsum").length;
    // Two passes, of which the first ends before the head and which share the first queries, keys and values; two products per expert and
    // site; two layers of the classifier.
    expect(products).toBe(2 * ofBase - 1 - 3 + 2 * 2 * 4 + 2);
  });

  it.each<[string, Fields, Fields, string]>([
    [
      "experts that are no LoRA",
      {},
      { peft_type: "IA3", target_modules: ["q_proj"], feedforward_modules: [] },
      "METHOD-CONSTRAINT",
    ],
    ["experts with DoRA", {}, { peft_type: "LORA", use_dora: true, target_modules: ["q_proj"] }, "METHOD-CONSTRAINT"],
    [
      "experts that train biases",
      {},
      { peft_type: "LORA", bias: "all", target_modules: ["q_proj"] },
      "METHOD-CONSTRAINT",
    ],
    ["no experts", { adapters: null }, {}, "METHOD-CONSTRAINT"],
    ["a list of experts", { adapters: ["0"] }, {}, "CONFIG-FIELD-TYPE"],
    ["experts that were not given", { adapters: { "7": "7" } }, {}, "CONFIG-EXPERTS"],
    ["hidden states of another width", { hidden_size: 48 }, {}, "METHOD-CONSTRAINT"],
    ["another norm", { layernorm_type: "batch" }, {}, "METHOD-CONSTRAINT"],
  ])("refuses %s", async (_what, changed, config, code) => {
    const experts = Object.fromEntries(
      ["0", "1"].map((name) => [name, { peft_type: "LORA", target_modules: ["q_proj"], ...config }]),
    );
    const compiled = compile(given.model, { ...given.adapter.config, ...changed }, { ...sizes, experts });
    await expect(compiled).rejects.toMatchObject({ code });
  });
});
