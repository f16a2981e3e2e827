/** Sessions under hasty hands: calls begun at once, inputs changed meanwhile, names misspelt, numbers that are none, states of others. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { CompileOptions } from "../../src/compile/options.ts";
import type { Program } from "../../src/compile/program.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { generateText } from "../../src/runtime/session/generate.ts";
import type { OptimizerState, Session, StepOptions } from "../../src/runtime/session/session.ts";
import type { StartOptions } from "../../src/runtime/session/start.ts";
import { tinyModel } from "./tiny-model.ts";

const model = await tinyModel();
const lora = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: ["q_proj"] };
const ids = [3, 5, 7, 1];
const batch = { input_ids: ids, labels: ids };
const other = { input_ids: [2, 4, 6, 8], labels: [2, 4, 6, 8] };
const size = { batch: 1, length: 4 };

const programs = new Map<string, Promise<Program>>();

async function start(
  config: object | null = lora,
  options: CompileOptions = {},
  more: StartOptions = {},
): Promise<Session> {
  const key = JSON.stringify([config, options]);
  const program = programs.get(key) ?? compile(model, config, { ...size, ...options });
  programs.set(key, program);
  return (await program).start({ device: "cpu", seed: 1, ...more });
}
const numbers = async (session: Session) => [...(await session.parameters())].map(([key, data]) => [key, [...data]]);
const filesOf = async (config: object, seed: number) =>
  Object.fromEntries(await (await start({ ...config, init_lora_weights: false }, {}, { seed })).files());
const coded = (code: string, where?: string) =>
  expect.objectContaining({ code, ...(where === undefined ? {} : { where }) }) as Error;

/** Two sessions that nothing below changes. */
const one = await start();
const before = await numbers(one);
const stepped = await start();
await stepped.step(batch);
const state = await stepped.optimizerState();

describe("calls that are begun at once", () => {
  it("run one after the other, whatever they are", async () => {
    const [once, turn] = [await start(lora, { accumulate: true }), await start(lora, { accumulate: true })];
    const files = await filesOf(lora, 5);
    const calls: ((session: Session) => Promise<unknown>)[] = [
      (s) => s.step(batch, { lr: 0.1 }),
      (s) => s.step([other, batch], { lr: 0.1 }),
      (s) => s.forward(batch),
      (s) => s.load("two", files),
      (s) => s.use("two"),
      (s) => s.step(other, { lr: 0.1 }),
      (s) => s.forward(batch, { adapters: ["default"] }),
      (s) => s.addWeighted(["default", "two"], [0.5, 2], "both"),
      (s) => s.use("both"),
      (s) => s.gradients(other),
      (s) => s.optimizerState(),
      async (s) => [...(await (await s.merge()).weights.read("model.layers.0.self_attn.q_proj.weight")).bytes],
      (s) => s.delete("both"),
      (s) => s.use(["default", "two"]),
      (s) => s.forward(other),
      (s) => s.use(null),
      (s) => s.forward(other),
      (s) => s.use("default"),
      (s) => s.step(batch),
      (s) => s.parameters(),
    ];
    const wanted: unknown[] = [];
    for (const call of calls) wanted.push(await call(turn));
    expect(await Promise.all(calls.map((call) => call(once)))).toEqual(wanted);
  });

  it("take their inputs as they are at the call", async () => {
    const [hasty, calm] = [await start(lora, { accumulate: true }), await start(lora, { accumulate: true })];
    const given = { input_ids: Int32Array.from(ids), labels: [...ids] };
    const [micro, options]: [(typeof given)[], { lr: number }] = [[given, given], { lr: 0.1 }];
    const kept = await hasty.optimizerState();
    const files = await filesOf(lora, 5);
    const loaded = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, bytes.slice()]));
    const choice = ["two", "default"];
    const calls = [
      hasty.step(micro, options),
      hasty.forward(given),
      hasty.restore(kept),
      hasty.load("two", loaded),
      hasty.use(choice),
      hasty.forward(given),
    ];
    given.input_ids.fill(9);
    given.labels.fill(9);
    micro.length = 0;
    options.lr = Number.NaN;
    kept.params.fill(7);
    for (const bytes of Object.values(loaded)) bytes.fill(0);
    choice.pop();
    const results = await Promise.all(calls);
    expect(results[0]).toEqual(await calm.step([batch, batch], { lr: 0.1 }));
    expect(results[1]).toEqual(await calm.forward(batch));
    const fresh = await start(lora, { accumulate: true });
    await fresh.load("two", files);
    await fresh.use(["two", "default"]);
    expect(results[5]).toEqual(await fresh.forward(batch));
  });

  it("let a training loop and single steps take turns, each step once", async () => {
    const session = await start();
    const given = { input_ids: [...ids], labels: [...ids] };
    const loop = (async () => {
      const seen: number[] = [];
      for await (const event of session.train(given, { steps: 6, lr: 0.01 }))
        if (event.type === "step") seen.push(event.step);
      return seen;
    })();
    given.input_ids.fill(99);
    const single = await Promise.all([session.step(batch), session.step(other)]);
    const seen = await loop;
    expect([...seen, ...single.map(({ step }) => step)].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(session.steps).toBe(6);
  });

  it("go on after one that fails", async () => {
    const [hasty, calm] = [await start(), await start()];
    const results = await Promise.allSettled([
      hasty.step(batch),
      hasty.step({ input_ids: ids }),
      hasty.load("two", { "adapter_config.json": "{" }),
      hasty.use("two"),
      hasty.step(batch),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected", "fulfilled"]);
    expect(results[3]).toMatchObject({ reason: { code: "SESSION-ADAPTER-UNKNOWN" } });
    for (let i = 0; i < 2; i++) await calm.step(batch);
    expect(await numbers(hasty)).toEqual(await numbers(calm));
    expect(() => hasty.use("two")).toThrow(coded("SESSION-ADAPTER-UNKNOWN"));
  });
});

describe("names and numbers that are none", () => {
  type Call = (session: Session) => unknown;
  const faults: [string, Call, string, string?][] = [
    ["a misspelt tensor", (s) => s.step({ ...batch, attentionMask: ids } as object), "DATA-BATCH", "attentionMask"],
    ["position ids", (s) => s.forward({ ...batch, position_ids: ids } as object), "DATA-BATCH", "position_ids"],
    [
      "a mask that is not compiled in",
      (s) => s.forward({ ...batch, attention_mask: [0, 1, 1, 1] }),
      "DATA-BATCH",
      "attention_mask",
    ],
    [
      "token types of a model without",
      (s) => s.gradients({ ...batch, token_type_ids: [0, 1, 0, 1] }),
      "DATA-BATCH",
      "token_type_ids",
    ],
    ["tasks that no adapter has", (s) => s.forward({ ...batch, task_ids: [0] }), "DATA-BATCH", "task_ids"],
    ["images for a model of text", (s) => s.forward({ ...batch, pixel_values: [0] }), "DATA-BATCH", "pixel_values"],
    ["no batch", (s) => s.step(null as unknown as object), "DATA-BATCH", "batch"],
    ["a number as tensor", (s) => s.step({ input_ids: 5 } as object), "DATA-BATCH", "input_ids"],
    ["null as tensor", (s) => s.step({ input_ids: ids, labels: null } as object), "DATA-BATCH", "labels"],
    ["rows of rows", (s) => s.step({ input_ids: [ids], labels: [ids] } as object), "DATA-BATCH", "input_ids[0]"],
    ["learningRate", (s) => s.step(batch, { learningRate: 0.5 } as object), "SESSION-OPTION", "learningRate"],
    ["no options", (s) => s.step(batch, null as unknown as object), "SESSION-OPTION"],
    [
      "an adapter that is no list",
      (s) => s.forward(batch, { adapters: "default" } as object),
      "SESSION-OPTION",
      "adapters",
    ],
    [
      "a misspelt option of forward",
      (s) => s.forward(batch, { adapter: ["default"] } as object),
      "SESSION-OPTION",
      "adapter",
    ],
    [
      "a misspelt option of train",
      (s) => s.train(batch, { steps: 1, epochs: 2 } as { steps: number }),
      "SESSION-OPTION",
      "epochs",
    ],
    ["train without steps", (s) => s.train(batch, {} as { steps: number }), "SESSION-OPTION", "steps"],
    ["half a step", (s) => s.train(batch, { steps: 1.5 }), "SESSION-OPTION", "steps"],
    [
      "a schedule of no name",
      (s) => s.train(batch, { steps: 1, schedule: "linaer" as "linear" }),
      "SESSION-OPTION",
      "schedule",
    ],
    ["a task that nothing is merged for", (s) => s.merge(undefined, { task: 1 }), "MERGE-OPTION", "task"],
    ["options of merge first", (s) => s.merge({ task: 1 } as unknown as DiagnosticSink), "MERGE-OPTION", "sink"],
    [
      "an option of combining",
      (s) => s.addWeighted(["default"], [1], "x", { densty: 0.5 } as object),
      "SESSION-COMBINE-OPTION",
      "densty",
    ],
    ["nothing to combine", (s) => s.addWeighted(undefined as never, [1], "x"), "SESSION-COMBINE-OPTION", "names"],
    ["an adapter of no name", (s) => s.load("", {}), "SESSION-ADAPTER-NAME"],
    ["an adapter whose name is a number", (s) => s.load(5 as never, {}), "SESSION-ADAPTER-NAME"],
    ["no folder to save to", (s) => s.save(null as never), "FILE-NOT-A-FOLDER"],
    ["a number to save to", (s) => s.save(5 as never), "FILE-NOT-A-FOLDER"],
    ["no model", () => loadModel(undefined as never), "FILE-NOT-A-FOLDER"],
    ["an option of saving", (s) => s.save("nowhere", { overwrte: true } as object), "SESSION-OPTION", "overwrte"],
    ["a choice of no name", (s) => s.use({} as string), "SESSION-ADAPTER-UNKNOWN"],
  ];
  for (const name of ["lr", "weightDecay", "maxNorm"] satisfies (keyof StepOptions)[]) {
    for (const x of [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1e39,
      -1,
      "0.1" as unknown as number,
      null as unknown as number,
    ]) {
      faults.push([`step with ${name} ${x}`, (s) => s.step(batch, { [name]: x }), "SESSION-OPTION", name]);
      faults.push([`train with ${name} ${x}`, (s) => s.train(batch, { steps: 3, [name]: x }), "SESSION-OPTION"]);
    }
  }
  it.each(faults)("%s", async (_name, call, code, where) => {
    await expect((async () => call(one))()).rejects.toThrow(coded(code, where));
    expect([one.steps, await numbers(one)]).toEqual([0, before]);
  });

  const atStart: [string, () => unknown, string, string][] = [
    ["lenght", () => compile(model, lora, { ...size, lenght: 4 } as object), "COMPILE-OPTION", "lenght"],
    ["mode", () => compile(model, lora, { mode: "trian" as "train" }), "COMPILE-OPTION", "mode"],
    ["mask", () => compile(model, lora, { mask: "no" as unknown as boolean }), "COMPILE-OPTION", "mask"],
    ["device", () => start(lora, {}, { device: "gpu" as "cpu" }), "SESSION-OPTION", "device"],
    ["target", () => compile(model, lora, { ...size, target: {} as never }), "COMPILE-OPTION", "target"],
    ["methods", () => compile(model, lora, { ...size, methods: {} as never }), "COMPILE-OPTION", "methods"],
    ["device as an object", () => start(lora, {}, { device: {} as "cpu" }), "SESSION-OPTION", "device"],
    ["sede", () => start(lora, {}, { sede: 1 } as object), "SESSION-OPTION", "sede"],
    ["seed", () => start(lora, {}, { seed: Number.NaN }), "SESSION-OPTION", "seed"],
    ["fixed", () => start(lora, {}, { fixed: { task: 1 } }), "MERGE-OPTION", "task"],
    ["signl", () => loadModel({}, { signl: 1 } as object), "FILE-OPTION", "signl"],
    [
      "maxTokens",
      () => generateText(one, undefined as never, "", { maxTokens: Number.NaN }),
      "SESSION-OPTION",
      "maxTokens",
    ],
  ];
  it.each(atStart)("the option %s", async (_name, call, code, where) => {
    await expect((async () => call())()).rejects.toThrow(coded(code, where));
  });

  it("suggest what was meant", async () => {
    await expect(one.forward({ ...batch, attentionMask: ids } as object)).rejects.toMatchObject({
      help: "did you mean attention_mask?",
    });
    await expect(one.step(batch, { learningRate: 1 } as object)).rejects.toMatchObject({
      help: "known are lr, weightDecay, maxNorm",
    });
  });

  it("but what says nothing new is read over: a mask of ones, token types of 0, what streams tell", async () => {
    const more = {
      attention_mask: [1, 1, 1, 1],
      token_type_ids: [0, 0, 0, 0],
      input_type_mask: [4, 4, 4, -1],
      tokens: 4,
    };
    expect(await one.forward({ ...batch, ...more })).toEqual(await one.forward(batch));
    const wide = { ...batch, input_ids: BigInt64Array.from(ids, BigInt) as never };
    expect(await one.forward(wide)).toEqual(await one.forward(batch));
    const masked = await start(lora, { mask: true });
    await expect(masked.forward({ ...batch, attention_mask: [1, 1, 0.5, 1] })).rejects.toThrow(coded("DATA-BATCH"));
    await expect(masked.forward({ ...batch, attention_mask: [1, 1] })).rejects.toThrow(coded("DATA-BATCH"));
  });
});

describe("a step that overflows", () => {
  const options = { lr: 3e38, weightDecay: 3e38 };

  it("leaves parameters and moments, and says so", async () => {
    const session = await start();
    await session.step(batch);
    const whole = await session.optimizerState();
    await expect(session.step(batch, options)).rejects.toThrow(
      coded("TRAIN-NOT-FINITE", "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"),
    );
    expect(await session.optimizerState()).toEqual(whole);
    expect((await session.step(batch)).step).toBe(1);
  });

  it("leaves what a projection would have changed", async () => {
    const oft = {
      peft_type: "OFT",
      oft_block_size: 4,
      target_modules: ["q_proj"],
      coft: true,
      eps: 1e-5,
      init_weights: false,
    };
    const session = await start({ ...oft, use_cayley_neumann: false });
    const kept = await session.optimizerState();
    await session.restore({ ...kept, params: kept.params.map((x) => 100 * x) });
    const whole = await session.optimizerState();
    await expect(session.step(batch, options)).rejects.toThrow(coded("TRAIN-NOT-FINITE"));
    expect(await session.optimizerState()).toEqual(whole);
    await session.step(batch);
    expect((await session.optimizerState()).params).not.toEqual(whole.params);
  });
});

describe("the state of an optimizer", () => {
  it("goes on in a program that trains the same, in batches of any size", async () => {
    const [from, to] = [await start(), await start(lora, { accumulate: true }, { seed: 2 })];
    await from.step(batch);
    await to.restore(await from.optimizerState());
    expect(to.steps).toBe(1);
    expect(await numbers(to)).toEqual(await numbers(from));
  });

  const foreign = async (config: object) => (await start(config)).optimizerState();
  const faults: [string, () => Promise<unknown>, string?][] = [
    ["other modules of the same size", () => foreign({ ...lora, target_modules: ["o_proj"] }), "program"],
    [
      "another method",
      () => foreign({ peft_type: "IA3", target_modules: ["q_proj"], feedforward_modules: [] }),
      "program",
    ],
    ["no program", async () => ({ ...state, program: undefined }), "program"],
    ["another length", async () => ({ ...state, moment1: new Float32Array(3) }), "moment1"],
    ["no moments", async () => ({ ...state, moment2: undefined }), "moment2"],
    ["no step", async () => ({ ...state, step: undefined }), "step"],
    ["a step as text", async () => ({ ...state, step: "1" }), "step"],
    ["a step below 0", async () => ({ ...state, step: -5 }), "step"],
    ["half a step", async () => ({ ...state, step: 0.5 }), "step"],
    ["NaN", async () => ({ ...state, params: state.params.map(() => Number.NaN) }), "params[0]"],
    ["what f32 cannot hold", async () => ({ ...state, moment1: [...state.moment1].map(() => 1e39) }), "moment1[0]"],
    ["a square below 0", async () => ({ ...state, moment2: state.moment2.map(() => -1) }), "moment2[0]"],
    ["nothing", async () => null, "state"],
  ];
  it.each(faults)("of %s is refused, and changes nothing", async (_name, make, where) => {
    const given = (await make()) as OptimizerState;
    await expect(stepped.restore(given)).rejects.toThrow(coded("SESSION-STATE", where));
    expect(await stepped.optimizerState()).toEqual(state);
  });

  it("is not there where nothing trains", async () => {
    for (const session of [await start(lora, { mode: "infer" }), await start(null)]) {
      await expect(session.optimizerState()).rejects.toThrow(coded("SESSION-MODE"));
      await expect(session.restore(state)).rejects.toThrow(coded("SESSION-MODE"));
    }
  });
});

describe("a session that is disposed", () => {
  const calls: [string, (session: Session) => unknown][] = [
    ["step", (s) => s.step(batch)],
    ["forward", (s) => s.forward(batch)],
    ["forward by rows", (s) => s.forward(batch, { adapters: [null] })],
    ["gradients", (s) => s.gradients(batch)],
    ["predictive", (s) => s.predictive(batch, 1)],
    ["parameters", (s) => s.parameters()],
    ["adapterTensors", (s) => s.adapterTensors()],
    ["optimizerState", (s) => s.optimizerState()],
    ["merge", (s) => s.merge()],
    ["merge of one", (s) => s.merge(undefined, {}, "default")],
    ["files", (s) => s.files()],
    ["save", (s) => s.save("nowhere")],
    ["load", (s) => s.load("two", {})],
    ["use", (s) => s.use("default")],
    ["delete", (s) => s.delete("default")],
    ["addWeighted", (s) => s.addWeighted(["default"], [1], "two")],
    ["report", (s) => s.report("scalings")],
    ["train", (s) => s.train(batch, { steps: 3 }).next()],
  ];
  it.each(calls)("refuses %s, later and under way", async (_name, call) => {
    const session = await start();
    const working = (async () => call(session))();
    session.dispose();
    session.dispose();
    await expect(working).rejects.toThrow(coded("SESSION-DISPOSED"));
    await expect((async () => call(session))()).rejects.toThrow(coded("SESSION-DISPOSED"));
  });

  it("leaves what was merged", async () => {
    const session = await start();
    await session.step(batch, { lr: 0.1 });
    const merged = await session.merge(new DiagnosticSink());
    const { logits } = await session.forward(batch);
    session.dispose();
    const plain = await (await compile(merged, null, { ...size, mode: "infer" })).start({ device: "cpu" });
    const gap = (await plain.forward(batch)).logits.reduce((most, x, i) => Math.max(most, Math.abs(x - logits[i]!)), 0);
    expect(gap).toBeLessThan(1e-5);
  });
});
