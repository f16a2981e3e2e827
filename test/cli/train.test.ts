/** Training through the command: killed and resumed runs, accumulation, interruption. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { hostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { times } from "../extent.ts";
import { golden, killed, llama, scratch, tinyLlama, webpeft } from "./helpers.ts";

const folder = scratch();
const lora = join(folder, "lora.json");
writeFileSync(
  lora,
  JSON.stringify({
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    r: 4,
    lora_alpha: 8,
    lora_dropout: 0.1,
    target_modules: ["q_proj", "v_proj"],
  }),
);

const adapterBytes = (out: string): Buffer => readFileSync(join(out, "adapter_model.safetensors"));
const logLines = (file: string) =>
  readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type?: string; step?: number; loss?: number });

async function tensors(out: string): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(bytesSource("adapter", adapterBytes(out)));
  return new Map(
    await Promise.all(
      [...file.tensors.keys()].map(async (key) => [key, toFloat32(await file.read(key)).slice()] as const),
    ),
  );
}

const readyBatch = join(golden, "cases/llama-lora/inputs.safetensors");
const steps = 60;
const args = (out: string, more: Readonly<Record<string, string>> = {}): string[] => {
  const options = {
    ...{ model: llama, config: lora, data: readyBatch, device: "cpu", out, log: `${out}.jsonl` },
    ...{ steps: `${steps}`, lr: "0.01", seed: "3", schedule: "cosine", warmup: "4", clip: "0.5", "save-every": "3" },
    ...more,
  };
  return ["train", "--json", ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])];
};
const isStep = (line: string): boolean => line.startsWith('{"step":');
const atStep = (step: number) => (line: string) => line.startsWith(`{"step":${step},`);

/** The run that nothing interrupts. */
const whole = join(folder, "whole");
beforeAll(() => expect(webpeft(args(whole)).code).toBe(0));

const expectWhole = (out: string, context: string): void => {
  expect(adapterBytes(out).equals(adapterBytes(whole)), context).toBe(true);
  expect(readdirSync(out).sort(), context).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  const losses = (of: string) =>
    logLines(`${of}.jsonl`)
      .filter((line) => line.step !== undefined && line.type === undefined)
      .map(({ step, loss }) => [step, loss]);
  expect(losses(out), context).toEqual(losses(whole));
  expect(losses(whole)).toHaveLength(steps);
};

/** Numbers in [0, 1) that depend on the seed only (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("a run that is killed and resumed", () => {
  it("ends with the files of an uninterrupted run, byte for byte, whenever it is killed", async () => {
    const seed = Number(process.env.WEBPEFT_KILL_SEED ?? Date.now() % 2 ** 31);
    const draw = random(seed);
    const out = join(folder, "broken");
    const moments: string[] = [];
    const context = () => `WEBPEFT_KILL_SEED=${seed}, killed ${moments.join(", ")}`;
    for (let kill = 0; kill < times(2, 5); kill++) {
      const lines = 1 + Math.floor(8 * draw());
      const delay = Math.floor(40 * draw());
      moments.push(`${delay} ms behind its line ${lines}`);
      let seen = 0;
      const resume = kill === 0 ? [] : ["--resume"];
      const stop = (line: string) => isStep(line) && ++seen >= lines;
      const { code, stderr } = await killed([...args(out), ...resume], stop, { delay });
      expect(code, `${context()}\n${stderr}`).toBe(null);
    }
    const { code, stderr } = webpeft([...args(out), "--resume"]);
    expect(code, `${context()}\n${stderr}`).toBe(0);
    expectWhole(out, context());
  });

  it.each([
    ["SIGINT", 1],
    ["SIGINT", 2],
    ["SIGTERM", 1],
    ["SIGHUP", 1],
  ] as const)("stops at %s x %i with a checkpoint, and tells how to go on", async (signal, times) => {
    const out = join(folder, `stopped at ${signal} ${times}`);
    const { code, stdout, stderr } = await killed(args(out), atStep(7), { signal, times });
    expect([code, stderr]).toEqual([1, expect.stringContaining("error TRAIN-STOPPED: stopped after ")]);
    expect(stderr).toContain(`--out '${out}'`);
    expect(stderr).toMatch(/go on with: webpeft train .* --resume$/m);
    expect(stdout.trim().split("\n").at(-1)).toContain('"status":"stopped"');
    expect(readdirSync(out).every((name) => /^checkpoint-\d+$/.test(name))).toBe(true);
    expect(webpeft([...args(out), "--resume"]).code).toBe(0);
    expectWhole(out, signal);
  });

  it("keeps the checkpoints of the new run when an old one is overwritten", async () => {
    const out = join(folder, "again");
    await killed(args(out), atStep(31));
    await killed([...args(out), "--overwrite"], atStep(7));
    const saved = readdirSync(out).flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []);
    expect(saved.length).toBeGreaterThan(0);
    expect(Math.max(...saved.map(Number))).toBeLessThan(30);
  });
});

describe("--resume", () => {
  const out = join(folder, "refused");
  beforeAll(() => killed(args(out), atStep(5)));

  it.each<[string, () => Record<string, string>, string]>([
    ["learning rate", () => ({ lr: "0.02" }), "options"],
    ["config", () => ({ config: changedFile(lora, "other.json", (text) => text.replace('"r":4', '"r":2')) }), "config"],
    ["base weights", () => ({ model: modelWithOneOtherBit() }), "weights"],
  ])("refuses another %s", (_what, more, differs) => {
    const { code, stderr } = webpeft([...args(out, more()), "--resume"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`TRAIN-RESUME-OTHER`)]);
    expect(stderr).toContain(`what differs: ${differs}\n`);
  });

  it("needs a checkpoint, and says so before it reads anything", () => {
    for (const where of [join(folder, "nowhere"), whole]) {
      const { code, stderr } = webpeft([...args(where, { model: "no-such-model" }), "--resume"]);
      expect([code, stderr]).toEqual([1, expect.stringContaining("TRAIN-RESUME-NONE")]);
      expect(stderr).toContain("leave --resume out");
    }
    expect(existsSync(join(folder, "nowhere"))).toBe(false);
    expectWhole(whole, "untouched");
  });

  function changedFile(path: string, name: string, change: (text: string) => string): string {
    const changed = join(folder, name);
    writeFileSync(changed, change(readFileSync(path, "utf8")));
    return changed;
  }

  function modelWithOneOtherBit(): string {
    const model = join(folder, "other-model");
    cpSync(llama, model, { recursive: true });
    const weights = readFileSync(join(model, "model.safetensors"));
    weights[weights.length - 4] = weights.at(-4)! ^ 1;
    writeFileSync(join(model, "model.safetensors"), weights);
    return model;
  }
});

describe("--valid", () => {
  const evaluations = (stdout: string) =>
    stdout.split("\n").flatMap((line) => (line.startsWith('{"type":"eval"') ? [JSON.parse(line) as object] : []));
  const more = { steps: "4", "eval-every": "2" };

  it("is evaluated in the shape of the training data", () => {
    const run = webpeft(args(join(folder, "valid"), { ...more, valid: readyBatch }));
    expect(run.code).toBe(0);
    expect(evaluations(run.stdout)).toMatchObject([{ step: 2 }, { step: 4 }]);
    const text = { model: tinyLlama, data: "examples/data/kjv-heldout.txt", length: "16", "batch-size": "2" };
    const small = join(folder, "small.txt");
    writeFileSync(small, readFileSync("examples/data/austen-heldout.txt", "utf8").slice(0, 200));
    const fromText = webpeft(args(join(folder, "valid-text"), { ...more, ...text, valid: small }));
    expect([fromText.code, evaluations(fromText.stdout)]).toMatchObject([0, [{ step: 2 }, { step: 4 }]]);
  });

  it("of another shape, too short, or without labels fails before anything is compiled", () => {
    const empty = join(folder, "empty.txt");
    writeFileSync(empty, "a");
    const cases: [string, RegExp][] = [
      [join(golden, "cases/llama-lora/expected.safetensors"), /DATA-BATCH/],
      [otherShape(), /DATA-VALID-SHAPE.*expected: +\[2, 8\].*got: +\[1, 4\]/s],
    ];
    for (const [valid, message] of cases) {
      const { code, stderr } = webpeft(args(join(folder, "invalid"), { ...more, valid }));
      expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    }
    const text = { model: tinyLlama, data: "examples/data/kjv-heldout.txt", valid: empty };
    const { code, stderr } = webpeft(args(join(folder, "invalid"), text));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/DATA-EMPTY.*empty\.txt/s)]);
    expect(existsSync(join(folder, "invalid"))).toBe(false);
  });

  function otherShape(): string {
    const path = join(folder, "other-shape.safetensors");
    const four = hostTensor("I32", [1, 4], Int32Array.of(1, 2, 3, 4));
    writeFileSync(path, encodeSafetensors(new Map(["input_ids", "labels"].map((name) => [name, four]))));
    return path;
  }
});

describe("accumulation", () => {
  it("makes of eight batches of one what a batch of eight makes, with dropout", async () => {
    const run = (out: string, batch: number, accumulate: number) =>
      webpeft([
        ...[
          "train",
          "--model",
          tinyLlama,
          "--config",
          lora,
          "--data",
          "examples/data/kjv-heldout.txt",
          "--length",
          "16",
          "--steps",
          String(times(12, 50)),
        ],
        ...[
          "--batch-size",
          String(batch),
          "--accumulate",
          String(accumulate),
          "--lr",
          "0.003",
          "--device",
          "cpu",
          "--out",
          out,
          "--log",
          `${out}.jsonl`,
        ],
      ]);
    const [one, many] = [join(folder, "one"), join(folder, "many")];
    expect(run(one, 8, 1).code).toBe(0);
    expect(run(many, 1, 8).code).toBe(0);
    const losses = (out: string) =>
      logLines(`${out}.jsonl`).flatMap(({ step, loss, type }) =>
        step === undefined || type !== undefined ? [] : [loss!],
      );
    losses(one).forEach((loss, step) => {
      expect(Math.abs(loss - losses(many)[step]!)).toBeLessThan(1e-4 * loss);
    });
    const [a, b] = [await tensors(one), await tensors(many)];
    for (const [key, values] of a) {
      const scale = values.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
      const gap = values.reduce((largest, x, i) => Math.max(largest, Math.abs(x - b.get(key)![i]!)), 0);
      expect(gap, key).toBeLessThan(1e-3 * scale);
    }
  });
});

describe("the log", () => {
  it("has a header, a line per step, and a last line", () => {
    const lines = logLines(join(folder, "whole.jsonl"));
    expect(lines[0]).toMatchObject({
      type: "header",
      seed: 3,
      version: expect.any(String) as string,
      config: expect.any(String) as string,
    });
    expect(Object.keys(lines[1]!).sort()).toEqual(["grad_norm", "loss", "lr", "ms", "step", "tokens", "tokens_per_s"]);
    expect(lines.at(-1)).toMatchObject({ type: "done", status: "finished" });
  });
});

it("writes a trace of what every dispatch took, and trains the same numbers", () => {
  const [plain, traced] = [join(folder, "plain"), join(folder, "traced")];
  const trace = join(folder, "trace.json");
  expect(webpeft(args(plain, { steps: "4" })).code).toBe(0);
  const { code, stderr } = webpeft(args(traced, { steps: "4", trace }));
  expect(code).toBe(0);
  expect(stderr).toContain("trace.json: open it in Perfetto");
  expect(adapterBytes(traced)).toEqual(adapterBytes(plain));
  const { traceEvents } = JSON.parse(readFileSync(trace, "utf8")) as { traceEvents: { cat?: string; dur?: number }[] };
  const updates = traceEvents.filter(({ cat }) => cat === "update").length;
  expect(updates).toBeGreaterThan(0);
  expect(updates % 4).toBe(0);
  expect(traceEvents.every(({ dur = 0 }) => dur >= 0)).toBe(true);
  writeFileSync(trace, "a letter");
  expect(webpeft(args(join(folder, "third"), { steps: "1", trace }))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("FILE-OUTPUT-EXISTS"),
  });
  const nowhere = webpeft(args(join(folder, "fourth"), { steps: "1", trace: join(folder, "missing", "trace.json") }));
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining("FILE-NOT-FOUND") });
  expect(nowhere.stderr).not.toContain("step 1");
});
