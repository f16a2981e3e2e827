/** LoRA with a posterior: its divergence from the prior, gradients, draws, merging and predictions. */
import { beforeAll, describe, expect, it } from "vitest";
import { type Target, targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { compact, type Graph } from "../../src/ir/graph.ts";
import { elaborateModel, methods, type Situation } from "../../src/methods/index.ts";
import { associate } from "../../src/passes/associate.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import type { Session, SessionBatch } from "../../src/runtime/session/session.ts";
import { baseModel, readNumbers } from "../golden/helpers.ts";
import { difference } from "../runtime/executor-samples.ts";
import { sharedDevice } from "../shared-device.ts";
import { fieldsOf, noise } from "./helpers.ts";

const [width, out, rank] = [6, 4, 2];
const vbloraVariational = methods.get("VBLORA")!.variant!.method;
const root = "base_model.model.q.vblora_";
type Values = Readonly<Record<string, ArrayLike<number>>>;

/** Loss of one layer: its divergence, and the sum of all entries of W' with weights. */
function lossGraph(fields: Record<string, number>, purpose: Situation["purpose"]): Graph {
  const all = fieldsOf(vbloraVariational, { vb_r: rank, ...fields });
  const site = { path: "q", kind: "linear", in: width, out, fields: all, index: 0, layout: "linear" } as const;
  const sites = [site];
  const elaboration = elaborateModel(vbloraVariational, {
    sites,
    situation: { purpose, sampling: purpose === "train" },
    fields: all,
    sink: new DiagnosticSink(),
  });
  const b = new Builder("loss");
  const weight = b.dense(b.port("W", "weight", "f32", [out, width]));
  const scalar = (name: string): number => b.port(name, "input", "u32", []);
  const made = elaboration.site(0, b, {
    ...{ weight, base: weight, samples: 2 },
    scalars: {
      seed: scalar("seed"),
      step: scalar("step"),
      sampleOffset: scalar("sample_offset"),
      pass: scalar("pass"),
      training: b.constant(1),
    },
  });
  const matrix = b.add("op.to_dense", [made.weight]);
  const weighed = b.sum(b.mul(matrix, b.port("C", "input", "f32", [out, width])), [0, 1]);
  const loss = made.loss === undefined ? weighed : b.plus(weighed, made.loss);
  const outputs = [
    { name: "loss", node: loss },
    { name: "matrix", node: matrix },
  ];
  return compact(associate(compact(b.finish(outputs)), { train: purpose === "train" }).graph);
}

const tensors: Values = {
  [`${root}A_mean`]: noise(rank * width, 1),
  [`${root}A_log_std`]: noise(rank * width, 2).map((x) => x - 1.5),
  [`${root}B_mean`]: noise(out * rank, 3),
  [`${root}B_log_std`]: noise(out * rank, 4).map((x) => x - 1.5),
  [`${root}inclusion_logit`]: [0.7, -0.4],
};
const inputs: Values = {
  W: noise(out * width, 5),
  C: noise(out * width, 6),
  ...{ seed: [3], step: [9], sample_offset: [0], pass: [4] },
};

/** The divergence written out: sums over components, rows and columns. */
function divergence(values: Values, pi: number): number {
  const [A, sA, B, sB, logit] = Object.keys(tensors).map((key) => values[key]!);
  const gaussian = (mean: number, log: number, prior: number): number =>
    (Math.exp(2 * log) + mean ** 2) / prior / 2 - 0.5 - log + Math.log(prior) / 2;
  let sum = 0;
  for (let k = 0; k < rank; k++) {
    let factors = 0;
    for (let j = 0; j < width; j++) factors += gaussian(A![k * width + j]!, sA![k * width + j]!, 1 / width);
    for (let i = 0; i < out; i++) factors += gaussian(B![i * rank + k]!, sB![i * rank + k]!, 1 / rank);
    const gamma = pi === 1 ? 1 : 1 / (1 + Math.exp(-logit![k]!));
    const bits = pi === 1 ? 0 : gamma * Math.log(gamma / pi) + (1 - gamma) * Math.log((1 - gamma) / (1 - pi));
    sum += bits + gamma * factors;
  }
  return sum;
}

const lossOf = (graph: Graph, values: Values = tensors): number =>
  evaluate(graph, { ...inputs, ...values }).loss!.data[0]!;

describe("the divergence from the prior", () => {
  it.each([0.3, 1])("is the sum that is written out, with vb_pi %d", (pi) => {
    const added = (beta: number): number => lossOf(lossGraph({ vb_pi: pi, vb_beta: beta }, "train"));
    const latent = rank * (width + out + (pi === 1 ? 0 : 1));
    expect((added(2) - added(0)) * (latent / 2)).toBeCloseTo(divergence(tensors, pi), 4);
  });

  it("is divided by vb_num_data, and is 0 where the posterior is the prior", () => {
    const graph = (beta: number) => lossGraph({ vb_pi: 0.3, vb_beta: beta, vb_num_data: 10 }, "train");
    expect((lossOf(graph(1)) - lossOf(graph(0))) * 10).toBeCloseTo(divergence(tensors, 0.3), 4);
    const prior: Values = {
      [`${root}A_mean`]: new Float64Array(rank * width),
      [`${root}A_log_std`]: new Float64Array(rank * width).fill(Math.log(1 / Math.sqrt(width))),
      [`${root}B_mean`]: new Float64Array(out * rank),
      [`${root}B_log_std`]: new Float64Array(out * rank).fill(Math.log(1 / Math.sqrt(rank))),
      [`${root}inclusion_logit`]: new Float64Array(rank).fill(Math.log(0.3 / 0.7)),
    };
    expect(lossOf(graph(1), prior) - lossOf(graph(0), prior)).toBeCloseTo(0, 6);
  });

  it("is no part of evaluation", () => {
    expect(lossOf(lossGraph({ vb_beta: 5 }, "evaluate"))).toBe(lossOf(lossGraph({ vb_beta: 0 }, "evaluate")));
  });
});

it("has the gradients of difference quotients, through the draws and the divergence", () => {
  const graph = lossGraph({ vb_pi: 0.3, lora_alpha: 3 }, "train");
  const gradients = evaluate(compact(differentiate(graph)), { ...inputs, ...tensors });
  for (const [key, value] of Object.entries(tensors)) {
    const got = gradients[`grad.${key}`]!.data;
    for (let i = 0; i < value.length; i++) {
      const moved = (by: number): number =>
        lossOf(graph, { ...tensors, [key]: Float64Array.from(value, (x, j) => (i === j ? x + by : x)) });
      expect(got[i], `${key}[${i}]`).toBeCloseTo((moved(1e-4) - moved(-1e-4)) / 2e-4, 5);
    }
  }
});

it("has draws around the posterior mean, whose bits are 0 or 1 for predictions", () => {
  const graph = lossGraph({ vb_pi: 0.3 }, "predict");
  const wanted = evaluate(lossGraph({ vb_pi: 0.3 }, "evaluate"), { ...inputs, ...tensors }).matrix!.data;
  const count = 4000;
  const draws = Array.from({ length: count }, (_unused, q) => [
    ...evaluate(graph, { ...inputs, ...tensors, pass: [2 ** 31 + q] }).matrix!.data,
  ]);
  const W = inputs.W!;
  const absent = draws.filter((draw) => draw.every((x, i) => Math.abs(x - W[i]!) < 1e-9)).length / count;
  expect(Math.abs(absent - (1 - 1 / (1 + Math.exp(-0.7))) * (1 - 1 / (1 + Math.exp(0.4))))).toBeLessThan(0.03);
  wanted.forEach((mean, i) => {
    const xs = draws.map((draw) => draw[i]!);
    const average = xs.reduce((a, b) => a + b, 0) / count;
    const deviation = Math.sqrt(xs.reduce((a, x) => a + (x - average) ** 2, 0) / (count - 1));
    expect(Math.abs(average - mean)).toBeLessThan((5 * deviation) / Math.sqrt(count));
  });
});

describe("a session", () => {
  const config = { peft_type: "VBLORA", vb_r: 4, vb_init_std: 0.3, target_modules: ["q_proj", "v_proj"] };
  const cpu = wasmExecutor();
  let batch: SessionBatch;
  beforeAll(async () => {
    batch = (await readNumbers("cases/llama-lora/inputs.safetensors")) as SessionBatch;
  });

  async function withSession<T>(
    executor: Executor,
    more: object,
    work: (session: Session) => Promise<T>,
    target?: Target,
  ): Promise<T> {
    const program = await compile(
      await baseModel("llama"),
      { ...config, ...more },
      { batch: 2, length: 8, mask: true, ...(target === undefined ? {} : { target }) },
    );
    const session = await program.start({ device: executor, seed: 3 });
    try {
      for (let step = 0; step < 2; step++) await session.step(batch, { lr: 0.05 });
      return await work(session);
    } finally {
      session.dispose();
    }
  }

  it("predicts a mean and a deviation, the same at every call and on every executor", async () => {
    const onCpu = await withSession(cpu, {}, async (session) => {
      const { logits } = await session.forward(batch);
      const [one, many] = [await session.predictive(batch, 1), await session.predictive(batch, 30)];
      expect(one.deviation.every((x) => x === 0)).toBe(true);
      expect(difference(one.mean, logits)).toBeGreaterThan(1e-5);
      expect(difference(many.mean, logits)).toBeLessThan(difference(one.mean, logits));
      expect(many.deviation.some((x) => x > 1e-5)).toBe(true);
      expect((await session.predictive(batch, 30)).mean).toEqual(many.mean);
      await expect(session.predictive(batch, 0)).rejects.toMatchObject({ code: "SESSION-DRAWS" });
      return many;
    });
    const onReference = await withSession(referenceExecutor(), {}, (session) => session.predictive(batch, 30));
    expect(difference(onCpu.mean, onReference.mean)).toBeLessThan(1e-4);
    expect(difference(onCpu.deviation, onReference.deviation)).toBeLessThan(1e-3);
  });

  it("merges the posterior mean, and saves what a LoRA can be made of", async () => {
    await withSession(cpu, {}, async (session) => {
      const { logits } = await session.forward(batch);
      const merged = await compile(await session.merge(), null, { mode: "infer", batch: 2, length: 8, mask: true });
      const plain = await merged.start({ device: cpu });
      expect(difference((await plain.forward(batch)).logits, logits)).toBeLessThan(1e-5);
      plain.dispose();
      const keys = [...(await session.adapterTensors()).keys()].filter((key) =>
        key.includes("layers.0.self_attn.q_proj"),
      );
      expect(keys.map((key) => key.split(".").at(-1)).sort()).toEqual(
        Object.keys(tensors)
          .map((key) => key.split(".").at(-1))
          .sort(),
      );
      expect(session.program.adapter!.savedConfig).toMatchObject({
        peft_type: "VBLORA",
        vb_r: 4,
        vb_pi: 0.5,
        vb_num_data: null,
      });
    });
  });

  it("trains and predicts on WebGPU with the numbers of WebAssembly", async () => {
    const open = await sharedDevice();
    const run = async (session: Session) => {
      const steps = [await session.step(batch, { lr: 0.05 }), await session.step(batch, { lr: 0.05 })];
      return { losses: steps.map(({ loss }) => loss), prediction: await session.predictive(batch, 4) };
    };
    const want = await withSession(cpu, {}, run);
    const got = await withSession(webgpuExecutor(open), {}, run, targetOf(open.target));
    expect(difference(Float32Array.from(got.losses), Float32Array.from(want.losses))).toBeLessThan(1e-5);
    expect(difference(got.prediction.mean, want.prediction.mean)).toBeLessThan(1e-4);
    expect(difference(got.prediction.deviation, want.prediction.deviation)).toBeLessThan(1e-3);
    const other = await withSession(cpu, { vb_seed: 1 }, run);
    expect(difference(Float32Array.from(other.losses), Float32Array.from(want.losses))).toBeGreaterThan(1e-5);
  });

  it("says that PEFT cannot use its file", async () => {
    const { diagnostics } = await compile(await baseModel("llama"), config, { batch: 2, length: 8 });
    const notes = diagnostics.filter(({ code }) => code === "METHOD-FILE");
    expect(notes).toMatchObject([{ severity: "note", help: expect.stringContaining("convert --rank 4") }]);
  });

  it.each(["rank_pattern", "alpha_pattern"])("refuses a %s", async (field) => {
    const compiled = compile(await baseModel("llama"), { ...config, [field]: { q_proj: 2 } }, { batch: 2, length: 8 });
    await expect(compiled).rejects.toMatchObject({
      code: "METHOD-CONSTRAINT",
      message: expect.stringContaining("not supported with a posterior"),
    });
    await compile(await baseModel("llama"), { ...config, [field]: {} }, { batch: 2, length: 8 });
  });

  it("refuses fields of the vector bank, and predictions of a method without posterior", async () => {
    const model = await baseModel("llama");
    const mixed = compile(model, { ...config, num_vectors: 8 }, { batch: 2, length: 8 });
    await expect(mixed).rejects.toMatchObject({ code: "CONFIG-FIELDS-MIXED", where: "num_vectors" });
    const program = await compile(
      model,
      { peft_type: "LORA", target_modules: ["q_proj"] },
      { batch: 2, length: 8, mask: true },
    );
    expect(program.stages.map(({ name }) => name)).not.toContain("predict");
    const session = await program.start({ device: cpu });
    await expect(session.predictive(batch, 2)).rejects.toMatchObject({ code: "SESSION-MODE" });
    session.dispose();
  });
});
