/** Several adapters in a session: ranks that share a program, deleting, rows with different adapters. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CompileOptions, compile, loadModel, readAdapter, type Session } from "../../src/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { largestDifference } from "./differences.ts";

const golden = "test/fixtures/golden";
const ids = Int32Array.from({ length: 16 }, (_unused, i) => (i * 5 + 3) % 64);
const batch = { input_ids: ids, labels: ids };
const base = (name: string) => loadModel(join(golden, "bases", name));
const model = () => base("llama");
const lora = (fields: object) => ({ peft_type: "LORA", target_modules: ["q_proj", "v_proj"], ...fields });
const ofRank = (r: number, alpha: number) => lora({ r, lora_alpha: alpha });

async function start(config: object, options: CompileOptions = {}, seed = 1, device: Executor | "cpu" = "cpu") {
  const program = await compile(await model(), config, { batch: 2, length: 8, ...options });
  return program.start({ device, seed });
}
const logits = async (session: Session): Promise<Float32Array> => (await session.forward(batch)).logits;

/** Trains alone, in a program of its own size. */
async function trained(config: object, seed: number, steps = 3) {
  const session = await start(config, {}, seed);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) losses.push((await session.step(batch, { lr: 0.05 })).loss);
  const result = { files: Object.fromEntries(await session.files()), logits: await logits(session), losses };
  session.dispose();
  return result;
}

/** The reference executor with the number of instances that it made and freed. */
function counted() {
  const executor = referenceExecutor();
  const counts = { made: 0, freed: 0 };
  const counting: Executor = {
    ...executor,
    instantiate: async (...args) => {
      const instance = await executor.instantiate(...args);
      counts.made++;
      return {
        ...instance,
        write: instance.write.bind(instance),
        run: instance.run.bind(instance),
        read: instance.read.bind(instance),
        dispose: () => {
          counts.freed++;
          instance.dispose();
        },
      };
    },
  };
  return { counts, executor: counting };
}

describe("ranks up to a maximum", () => {
  it("share one instance, with scales of their own, and are written in their own shapes", async () => {
    const { counts, executor } = counted();
    const session = await start(ofRank(8, 8), { maximumRank: 8 }, 1, executor);
    const one = await trained(ofRank(2, 16), 2);
    const two = await trained(lora({ r: 4, lora_alpha: 4, use_rslora: true, rank_pattern: { v_proj: 3 } }), 3);
    const fresh = await logits(session);
    await session.load("one", one.files);
    await session.load("two", two.files);
    for (const [name, wanted] of [
      ["one", one],
      ["two", two],
      ["one", one],
    ] as const) {
      await session.use(name);
      expect(largestDifference(await logits(session), wanted.logits)).toBeLessThan(2e-6);
      expect(Object.fromEntries(await session.files())).toEqual(wanted.files);
    }
    expect(largestDifference(one.logits, two.logits)).toBeGreaterThan(1e-2);
    await session.use("default");
    expect(await logits(session)).toEqual(fresh);
    expect(counts.made).toBe(1);
  });

  it("train as in programs of their own size", async () => {
    const session = await start(ofRank(6, 6), { maximumRank: 8 });
    const begun = await trained(ofRank(2, 8), 5, 0);
    await session.load("small", begun.files);
    await session.use("small");
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) losses.push((await session.step(batch, { lr: 0.05 })).loss);
    const alone = await trained(ofRank(2, 8), 5);
    expect(largestDifference(losses, alone.losses)).toBeLessThan(1e-5);
    expect(largestDifference(await logits(session), alone.logits)).toBeLessThan(1e-4);
    const { gradients } = await session.gradients(batch);
    expect(Object.values(gradients).map(({ length }) => length)).toEqual(
      session.program.adapter!.tensors.map(({ shape }) => shape.reduce((a, b) => a * b)),
    );
    session.dispose();
  });

  it("merge like programs of their own size; a larger rank has an instance of its own", async () => {
    const { counts, executor } = counted();
    const one = await trained(lora({ r: 2, use_dora: true }), 7);
    const session = await start(lora({ r: 4, use_dora: true }), { maximumRank: 4, mode: "infer" }, 1, executor);
    await session.load("one", one.files);
    await session.use("one");
    expect(largestDifference(await logits(session), one.logits)).toBeLessThan(1e-5);
    const merged = await session.merge();
    const base = await (await compile(merged, null, { batch: 2, length: 8 })).start({ device: "cpu" });
    expect(largestDifference(await logits(base), one.logits)).toBeLessThan(1e-4);
    expect(counts.made).toBe(1);
    const large = await trained(lora({ r: 6, use_dora: true }), 8);
    await session.load("large", large.files);
    await session.use("large");
    expect(largestDifference(await logits(session), large.logits)).toBeLessThan(1e-5);
    expect(counts.made).toBe(2);
    base.dispose();
  });

  it("must be a positive number", async () => {
    await expect(start(ofRank(2, 2), { maximumRank: 0 })).rejects.toMatchObject({ code: "COMPILE-OPTION" });
  });
});

describe("delete", () => {
  it("forgets an adapter and frees what nobody else uses", async () => {
    const { counts, executor } = counted();
    const session = await start(ofRank(4, 4), {}, 1, executor);
    const [same, other] = [await trained(ofRank(4, 4), 2, 1), await trained(ofRank(2, 2), 3, 1)];
    await session.load("same", same.files);
    await session.load("other", other.files);
    expect(session.adapterNames).toEqual(["default", "same", "other"]);
    await session.delete("default");
    expect(session.adapterNames).toEqual(["same", "other"]);
    expect(counts).toEqual({ made: 2, freed: 0 });
    expect(largestDifference(await logits(session), other.logits)).toBeLessThan(1e-6);
    await session.delete("other");
    expect(counts).toEqual({ made: 2, freed: 1 });
    expect(largestDifference(await logits(session), same.logits)).toBeLessThan(1e-6);
    await session.load("default", other.files);
    await session.delete("default");
    await session.delete("same");
    expect(counts).toEqual({ made: 4, freed: 3 });
    const base = await start({ ...ofRank(1, 1) }, {}, 1);
    expect(largestDifference(await logits(session), await logits(base))).toBeLessThan(1e-6);
    session.dispose();
  });

  it("knows the names", async () => {
    const session = await start(ofRank(2, 2));
    expect(() => session.delete("nobody")).toThrow(
      expect.objectContaining({ code: "SESSION-ADAPTER-UNKNOWN", expected: "default" }) as Error,
    );
    session.dispose();
  });
});

describe("rows with different adapters", () => {
  it("compute what each adapter computes, whatever its method", async () => {
    const session = await start(ofRank(2, 2));
    const [one, oft] = [await trained(ofRank(2, 2), 2), await readAdapter(join(golden, "cases/llama-oft"))];
    await session.load("one", one.files);
    await session.load("oft", oft);
    const alone = async (name: string | null) => {
      await session.use(name);
      return session.forward(batch);
    };
    const [ofOft, ofOne, ofBase] = [await alone("oft"), await alone("one"), await alone(null)];
    await session.use("default");
    const half = ofOne.logits.length / 2;
    for (const [first, second, a, b] of [
      ["oft", "one", ofOft, ofOne],
      [null, "oft", ofBase, ofOft],
      ["one", "one", ofOne, ofOne],
    ] as const) {
      const mixed = await session.forward(batch, { adapters: [first, second] });
      expect(mixed.logits.subarray(0, half)).toEqual(a.logits.subarray(0, half));
      expect(mixed.logits.subarray(half)).toEqual(b.logits.subarray(half));
    }
    const [both, switched] = await Promise.all([
      session.forward(batch, { adapters: ["one", "oft"] }),
      session.forward(batch, { adapters: ["oft", "one"] }),
    ]);
    // Rows have equally many labels, so the two mixtures together are both adapters.
    expect(both.loss! + switched.loss!).toBeCloseTo(ofOne.loss! + ofOft.loss!, 5);
    expect(session.steps).toBe(0);
    session.dispose();
  });

  const heads = [
    ["numbers", { labels: 1 }, { labels: [0.5, -1.25] }],
    ["numbers of several", { labels: 3, problem: "regression" }, { labels: [0.5, -1.25, 2, 0, 1, -100] }],
    ["flags", { labels: 3, problem: "multi_label_classification" }, { labels: [1, 0, 1, 0, 0.5, 0] }],
    ["classes", { labels: 3 }, { labels: [2, 0] }],
    ["spans", { task: "QUESTION_ANS" }, { start_positions: [1, 2], end_positions: [3, 2] }],
  ] as const;

  it.each(heads)("have a loss for labels that are %s: the mean over the rows", async (_what, head, labels) => {
    const model = await base("bert-headless");
    const task_type = "task" in head ? head.task : "SEQ_CLS";
    const lora = { peft_type: "LORA", task_type, r: 2, init_lora_weights: false, target_modules: ["query"] };
    const options = { mode: "infer", batch: 2, length: 4, head } as const;
    const program = await compile(model, lora, options);
    const [session, other] = [await program.start({ device: "cpu" }), await program.start({ device: "cpu", seed: 1 })];
    await session.load("other", Object.fromEntries(await other.files()));
    const tokens = { input_ids: [5, 6, 7, 8, 9, 8, 7, 6] };
    const mixed = async (first: string, second: string) =>
      session.forward({ ...tokens, ...labels }, { adapters: [first, second] });
    const plain = async (name: string) => {
      await session.use(name);
      return (await session.forward({ ...tokens, ...labels })).loss!;
    };
    const [first, second] = [await mixed("default", "other"), await mixed("other", "default")];
    const [a, b] = [await plain("default"), await plain("other")];
    expect(first.loss).not.toBeCloseTo(second.loss!, 4);
    expect((first.loss! + second.loss!) / (a + b)).toBeCloseTo(1, 6);
    if ("task" in head) {
      const cut = { ...tokens, start_positions: [1, 2], end_positions: [3, 4] };
      const refused = session.forward(cut, { adapters: ["default", "other"] });
      await expect(refused).rejects.toMatchObject({ code: "DATA-BATCH", message: /one end of a span/ });
    }
    for (const one of [session, other]) one.dispose();
  });

  it("want a known name for every row", async () => {
    const session = await start(ofRank(2, 2));
    await expect(session.forward(batch, { adapters: ["default"] })).rejects.toMatchObject({ code: "DATA-BATCH" });
    await expect(session.forward(batch, { adapters: ["default", "x"] })).rejects.toMatchObject({
      code: "SESSION-ADAPTER-UNKNOWN",
    });
    session.dispose();
  });
});
