/** Sessions with CPT: which labels count, what the file holds, how training goes on, what is refused. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { padBatch } from "../../src/runtime/data/batches.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import type { AdapterFiles } from "../../src/runtime/files/adapter.ts";
import { fromFloat32, toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { baseModel, type GoldenCase, loadCase } from "../golden/helpers.ts";
import { difference } from "./executor-samples.ts";

let golden: GoldenCase;
beforeAll(async () => {
  golden = await loadCase("llama-cpt");
});

interface How {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly adapter?: AdapterFiles;
  readonly model?: "llama" | "gpt2";
  readonly options?: Parameters<typeof compile>[2];
}

async function started({ config, adapter, model = "llama", options }: How = {}): Promise<Session> {
  const given = config ?? adapter!.config;
  const program = await compile(await baseModel(model), given, {
    ...{ batch: 2, length: 8, sampling: false, loaded: adapter !== undefined },
    ...options,
  });
  return program.start({ device: referenceExecutor(), ...(adapter === undefined ? {} : { adapter }) });
}

const plain = {
  ...{ peft_type: "CPT", task_type: "CAUSAL_LM", cpt_token_ids: [5, 9, 11, 40] },
  ...{ cpt_tokens_type_mask: [1, 2, 3, 4], opt_projection_epsilon: 20, opt_projection_format_epsilon: 20 },
};
const text = (rows: number): number[] => Array.from({ length: 8 * rows }, (_unused, k) => (7 * k + 3) % 60);
const batch = { input_ids: text(2), labels: text(2) };
const adamW = { lr: 1e-2, weightDecay: 0.01 };

/** The adapter with another tensor in its file. */
const withTensor = (change: (data: Float32Array) => Float32Array): AdapterFiles => ({
  ...golden.adapter,
  tensors: {
    ...golden.adapter.tensors,
    tensors: golden.adapter.tensors.tensors,
    read: async (key) => {
      const tensor = await golden.adapter.tensors.read(key);
      return fromFloat32(change(toFloat32(tensor).slice()), "F32", tensor.shape);
    },
  },
});

/** The tensor of the file as a table of rows. */
const saved = async (session: Session): Promise<Float32Array> =>
  toFloat32((await session.adapterTensors()).get("prompt_embeddings")!).slice();

describe("what is learned", () => {
  it("has a label with the defaults, where PEFT's loss is NaN", async () => {
    const session = await started({ config: { peft_type: "CPT", task_type: "CAUSAL_LM" } });
    expect(session.program.adapter!.savedConfig).toMatchObject({
      cpt_token_ids: [0],
      cpt_mask: [1],
      num_virtual_tokens: 1,
    });
    const { loss, labels } = await session.forward(batch);
    expect([Number.isFinite(loss), labels]).toEqual([true, 16]);
  });

  it("counts labels of the context and of the text, and nothing without labels", async () => {
    const session = await started({ config: plain });
    const none = new Array<number>(16).fill(-100);
    expect((await session.forward({ input_ids: text(2) })).loss).toBeUndefined();
    expect((await session.forward({ ...batch, labels: none })).labels).toBe(2);
    expect((await session.forward(batch)).labels).toBe(18);
    const roles = [...new Array<number>(8).fill(4), ...new Array<number>(8).fill(1)];
    expect((await session.forward({ ...batch, input_type_mask: roles })).labels).toBe(10);
  });

  it("is nothing in a row of padding", async () => {
    const session = await started({ config: plain });
    const padded = padBatch([{ ids: [1, 2, 3], labels: [-100, 2, 3] }], 2, 8, 0);
    const { loss, labels } = await session.forward(padded);
    expect(labels).toBe(3);
    const alone = await started({ config: plain, options: { batch: 1, length: 3 } });
    const { loss: wanted } = await alone.forward({ input_ids: [1, 2, 3], labels: [-100, 2, 3] });
    expect(loss).toBeCloseTo(wanted!, 6);
  });

  it("has the context of a row whose text has no role, as in PEFT", async () => {
    const session = await started({ config: plain });
    const roles = [...new Array<number>(8).fill(0), ...new Array<number>(8).fill(4)];
    expect((await session.forward({ ...batch, input_type_mask: roles })).labels).toBe(10);
  });

  it("is an error where it is nothing", async () => {
    const session = await started({ config: { ...plain, cpt_tokens_type_mask: [1, 2, 3, 3] } });
    const none = { ...batch, labels: new Array<number>(16).fill(-100) };
    await expect(session.step(none)).rejects.toMatchObject({ code: "DATA-LABELS-MASKED" });
    await expect(session.step({ ...batch, input_type_mask: new Array<number>(16).fill(-2) })).rejects.toMatchObject({
      code: "DATA-TOKEN-RANGE",
    });
  });

  it("leaves the caller's roles as they are", async () => {
    const session = await started({ config: golden.adapter.config });
    const input_type_mask = Int32Array.from(golden.inputs.input_type_mask!);
    await session.step({ ...batch, input_type_mask }, adamW);
    expect([...input_type_mask]).toEqual([...golden.inputs.input_type_mask!]);
  });

  it("is the same in two micro-batches", async () => {
    const labels = text(2).map((label, i) => (i < 13 ? label : -100));
    const [whole, parts] = [
      await started({ config: plain }),
      await started({ config: plain, options: { batch: 1, accumulate: true } }),
    ];
    const rows = [0, 1].map((row) => ({
      input_ids: text(2).slice(8 * row, 8 * row + 8),
      labels: labels.slice(8 * row, 8 * row + 8),
    }));
    const [one, two] = [await whole.step({ ...batch, labels }, adamW), await parts.step(rows, adamW)];
    expect([one.labels, two.labels]).toEqual([15, 15]);
    expect(two.gradNorm).toBeCloseTo(one.gradNorm, 6);
    expect(difference(await saved(parts), await saved(whole))).toBeLessThan(1e-6);
  });

  it("is by row where rows have adapters of their own", async () => {
    const { adapter } = golden;
    const session = await started({ adapter });
    await session.load("other", { ...adapter, config: { ...adapter.config, opt_loss_decay_factor: 0.3 } });
    const given = { ...batch, input_type_mask: golden.inputs.input_type_mask! };
    const mixed = await session.forward(given, { adapters: ["default", "other"] });
    const alone = async (name: string, row: number) => {
      await session.use(name);
      const others = [8 - 8 * row, 16 - 8 * row] as const;
      const labels = Int32Array.from(batch.labels).fill(-100, ...others);
      const input_type_mask = Int32Array.from(given.input_type_mask).fill(-1, ...others);
      return session.forward({ ...batch, labels, input_type_mask });
    };
    const [first, second] = [await alone("default", 0), await alone("other", 1)];
    const count = first.labels! + second.labels!;
    expect(mixed.labels).toBe(count);
    expect(mixed.loss).toBeCloseTo((first.loss! * first.labels! + second.loss! * second.labels!) / count, 6);
  });
});

describe("the file", () => {
  it("holds the projected prompt, and training goes on from it", async () => {
    const session = await started({ adapter: golden.adapter });
    for (let step = 0; step < 2; step++) await session.step(batch, adamW);
    const file = await saved(session);
    const [raw, start] = [
      (await session.parameters()).get("prompt_embeddings")!,
      golden.expected["delta.prompt_embeddings"]!,
    ];
    const norm = (data: ArrayLike<number>): number => Math.hypot(...Array.from(data).slice(0, 32));
    expect(norm(raw)).toBeGreaterThan(2 * norm(start));
    const { logits } = await session.forward(batch);
    const again = await started({ adapter: withTensor(() => file) });
    expect(difference((await again.forward(batch)).logits, logits)).toBeLessThan(1e-5);
    expect(norm((await again.parameters()).get("prompt_embeddings")!)).toBeCloseTo(0.0125, 6);
  });

  it("is what is used where nothing trains, whatever the bounds", async () => {
    const adapter = withTensor((data) => data.map((x) => x + 0.5));
    const used = await started({ adapter, options: { mode: "infer" } });
    const free = {
      ...adapter,
      config: { ...adapter.config, opt_projection_epsilon: 1e4, opt_projection_format_epsilon: 1e4 },
    };
    const labels = { ...free, config: { ...free.config, cpt_tokens_type_mask: [1, 2, 2, 3, 3, 3] } };
    const unbounded = await started({ adapter: labels });
    const [got, wanted] = [await used.forward({ input_ids: text(2) }), await unbounded.forward({ input_ids: text(2) })];
    expect(difference(got.logits, wanted.logits)).toBeLessThan(1e-6);
    const bounded = await started({ adapter });
    expect(difference((await bounded.forward({ input_ids: text(2) })).logits, got.logits)).toBeGreaterThan(1e-2);
  });

  it("is not needed to go on from a checkpoint bit by bit", async () => {
    const [one, two] = [await started({ config: plain }), await started({ config: plain })];
    await one.step(batch, adamW);
    await two.restore(await one.optimizerState());
    for (const session of [one, two]) await session.step(batch, adamW);
    expect([...(await saved(two))]).toEqual([...(await saved(one))]);
  });
});

it("works on a model with learned positions", async () => {
  const session = await started({ config: plain, model: "gpt2" });
  const before = await session.forward(batch);
  for (let step = 0; step < 3; step++) await session.step(batch, { lr: 0.05 });
  const after = await session.forward(batch);
  expect(after.loss!).toBeLessThan(before.loss!);
  const offset = (await session.parameters()).get("prompt_embeddings")!;
  expect(offset.subarray(0, 32).some((x) => x !== 0)).toBe(true);
  expect(offset.subarray(96).every((x) => x === 0)).toBe(true);
});

describe("is refused", () => {
  const lengths = "cpt_token_ids, cpt_mask and cpt_tokens_type_mask must have the same length.";
  it.each<[string, Readonly<Record<string, unknown>>, string, string]>([
    ["roles of another length", { cpt_tokens_type_mask: [1, 2] }, "METHOD-CONSTRAINT", lengths],
    ["a mask of another length", { cpt_mask: [1] }, "METHOD-CONSTRAINT", lengths],
    ["another task", { task_type: "SEQ_CLS" }, "METHOD-CONSTRAINT", "CPTConfig only supports task_type = CAUSAL_LM."],
    ["no task", { task_type: null }, "CONFIG-TASK-TYPE", "task_type"],
    ["another number of tokens", { num_virtual_tokens: 3 }, "METHOD-CONSTRAINT", "num_virtual_tokens"],
    ["a token that the model lacks", { cpt_token_ids: [5, 9, 11, 64] }, "METHOD-CONSTRAINT", "cpt_token_ids"],
    ["no tokens", { cpt_token_ids: [], cpt_tokens_type_mask: [] }, "METHOD-", "cpt_token_ids"],
    ["a negative role", { cpt_tokens_type_mask: [1, 2, 3, -4] }, "CONFIG-", "cpt_tokens_type_mask"],
    ["another weighting", { opt_weighted_loss_type: "linear" }, "CONFIG-", "opt_weighted_loss_type"],
  ])("%s", async (_what, change, code, text) => {
    const error: unknown = await started({ config: { ...plain, ...change } }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: expect.stringContaining(code) });
    expect(String((error as Error).message) + String((error as { where?: string }).where)).toContain(text);
  });
});
