/** Nothing fits the golden cases alone: the same numbers for another order or place, f64 evaluation's for another architecture. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Target, targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { difference } from "../runtime/executor-samples.ts";
import { sharedDevice } from "../shared-device.ts";
import { type GoldenCase, golden, loadCase } from "./helpers.ts";

const cases = ["lora", "lora-dora", "oft", "boft", "ia3", "vera", "fourierft"].map((name) => `llama-${name}`);
type Config = Readonly<Record<string, unknown>>;

const batchOf = ({ inputs }: GoldenCase) => ({
  input_ids: inputs.input_ids!,
  labels: inputs.labels!,
  attention_mask: inputs.attention_mask!,
});

interface How {
  readonly executor: Executor;
  readonly target?: Target;
  readonly model?: Model;
  /** Null: the base model alone. */
  readonly config?: Config | null;
  /** Fresh values instead of the file's. */
  readonly fresh?: boolean;
}

async function start(goldenCase: GoldenCase, how: How): Promise<Session> {
  const { adapter, inputs } = goldenCase;
  const config = how.config === undefined ? adapter.config : how.config;
  const loaded = config !== null && how.fresh !== true;
  const program = await compile(how.model ?? goldenCase.model, config, {
    ...{ batch: 2, length: inputs.input_ids!.length / 2, mask: true, sampling: false, strict: false, loaded },
    ...(config === null ? { mode: "infer" as const } : {}),
    ...(how.target === undefined ? {} : { target: how.target }),
  });
  return program.start({
    device: how.executor,
    ...(loaded ? { adapter: { ...adapter, config } as typeof adapter } : {}),
  });
}

async function logitsOf(goldenCase: GoldenCase, how: How): Promise<Float32Array> {
  const session = await start(goldenCase, how);
  try {
    return (await session.forward(batchOf(goldenCase))).logits;
  } finally {
    session.dispose();
  }
}

/** Logits and all gradients, one behind the other by key. */
async function numbersOf(goldenCase: GoldenCase, how: How): Promise<{ logits: Float32Array; gradients: number[] }> {
  const session = await start(goldenCase, how);
  try {
    const { logits } = await session.forward(batchOf(goldenCase));
    const { gradients } = await session.gradients(batchOf(goldenCase));
    const keys = Object.keys(gradients).sort();
    return { logits, gradients: keys.flatMap((key) => [...gradients[key]!]) };
  } finally {
    session.dispose();
  }
}

const cpu = wasmExecutor();
let open: OpenDevice;
let webgpu: How;
beforeAll(async () => {
  open = await sharedDevice();
  webgpu = { executor: webgpuExecutor(open), target: targetOf(open.target) };
});

const largest = (numbers: ArrayLike<number>): number =>
  Array.from(numbers).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

describe("the same numbers", () => {
  it.each(cases)("%s: target modules in another order", async (name) => {
    const goldenCase = await loadCase(name);
    const config = goldenCase.adapter.config as Config;
    const permuted = { ...config, target_modules: [...(config.target_modules as string[])].reverse() };
    const [before, after] = [
      await numbersOf(goldenCase, { executor: cpu }),
      await numbersOf(goldenCase, { executor: cpu, config: permuted }),
    ];
    expect([...after.logits]).toEqual([...before.logits]);
    expect(after.gradients).toEqual(before.gradients);
  });

  it("from folders of other names", async () => {
    const goldenCase = await loadCase("llama-lora");
    const folder = mkdtempSync(join(tmpdir(), "renamed-"));
    try {
      cpSync(golden("bases/llama"), join(folder, "some model"), { recursive: true });
      cpSync(golden("cases/llama-lora"), join(folder, "something"), { recursive: true });
      const renamed = {
        ...goldenCase,
        model: await loadModel(join(folder, "some model")),
        adapter: await readAdapter(join(folder, "something")),
      };
      const how = { executor: cpu };
      expect([...(await logitsOf(renamed, how))]).toEqual([...(await logitsOf(goldenCase, how))]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("another architecture has the numbers of f64 evaluation", () => {
  const changes: readonly (readonly [string, Config])[] = [
    ["rope theta", { rope_parameters: { rope_theta: 137, rope_type: "default" } }],
    ["norm epsilon", { rms_norm_eps: 0.05 }],
    ["head counts", { num_attention_heads: 2, num_key_value_heads: 1, head_dim: 16 }],
  ];

  it.each(changes)("%s", async (_what, change) => {
    const goldenCase = await loadCase("llama-lora");
    const model: Model = { ...goldenCase.model, config: { ...goldenCase.model.config, ...change } };
    const want = await numbersOf(goldenCase, { executor: referenceExecutor(), model });
    const unchanged = await logitsOf(goldenCase, { executor: referenceExecutor() });
    expect(difference(unchanged, want.logits)).toBeGreaterThan(1e-3);
    for (const how of [{ executor: cpu }, webgpu]) {
      const got = await numbersOf(goldenCase, { ...how, model });
      expect(difference(got.logits, want.logits)).toBeLessThan(1e-5);
      const gap = largest(got.gradients.map((g, i) => g - want.gradients[i]!));
      expect(gap / largest(want.gradients)).toBeLessThan(1e-4);
    }
  });
});

describe("on the CPU", () => {
  const fresh = async (name: string, more: Config): Promise<[GoldenCase, Config]> => {
    const goldenCase = await loadCase(name);
    return [goldenCase, { ...(goldenCase.adapter.config as Config), ...more }];
  };

  it.each(cases)("%s: a fresh adapter is the base model", async (name) => {
    const [goldenCase, config] = await fresh(name, name === "llama-fourierft" ? { init_weights: true } : {});
    const base = await logitsOf(goldenCase, { executor: cpu, config: null });
    const adapted = await logitsOf(goldenCase, { executor: cpu, config, fresh: true });
    expect(difference(adapted, base)).toBeLessThan(1e-5);
  });

  it("a fresh FourierFT without init_weights is not", async () => {
    const [goldenCase, config] = await fresh("llama-fourierft", { init_weights: false });
    const base = await logitsOf(goldenCase, { executor: cpu, config: null });
    expect(difference(await logitsOf(goldenCase, { executor: cpu, config, fresh: true }), base)).toBeGreaterThan(1e-4);
  });

  it.each(cases)("%s: the merged model is the adapted one, and the base is left as it was", async (name) => {
    const goldenCase = await loadCase(name);
    const [executor, before] = [cpu, await logitsOf(goldenCase, { executor: cpu, config: null })];
    const session = await start(goldenCase, { executor });
    try {
      const { logits } = await session.forward(batchOf(goldenCase));
      const merged = await logitsOf(goldenCase, { executor, config: null, model: await session.merge() });
      expect(difference(logits, before)).toBeGreaterThan(1e-4);
      expect(difference(merged, logits)).toBeLessThan(1e-5);
      expect([...(await logitsOf(goldenCase, { executor, config: null }))]).toEqual([...before]);
    } finally {
      session.dispose();
    }
  });
});
