/**
 * The golden cases of the methods on all bases: logits, loss, every gradient, merged weights and four AdamW steps against PEFT's numbers. On WebAssembly
 * for every method and half of the bases, on TensorFlow.js for a quarter of the methods, on WebGPU for every schedule of every op (`npm run test:all`: for all cases).
 */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it, type MockInstance, type TestContext, vi } from "vitest";
import { targetOf } from "../../src/codegen/index.ts";
import { methods } from "../../src/methods/index.ts";
import { headKind } from "../../src/models/head.ts";
import { familyHeads } from "../../src/models/index.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { type WebgpuExecutor, webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { isAll, part } from "../extent.ts";
import { sharedDevice } from "../shared-device.ts";
import { coveringCases, scheduledOps } from "./covering.ts";
import { caseNames, factsOf, type GoldenCase, golden, loadCase } from "./helpers.ts";
import { type CaseResult, runCase } from "./run.ts";

const methodOf = (name: string): string =>
  (JSON.parse(readFileSync(golden(`cases/${name}/adapter_config.json`), "utf8")) as { peft_type: string }).peft_type;

/** The cases of the methods that are built. */
const names = caseNames(/./).filter((name) => methods.has(methodOf(name)));
/** The first case of everything that `of` tells apart. */
const firsts = (of: (name: string) => string): string[] => [
  ...new Map(names.toReversed().map((n) => [of(n), n])).values(),
];
const [ofMethods, ofBases] = [firsts(methodOf), firsts((name) => factsOf(name).base)];
/** The cases of the first methods on llama, whose pipelines are counted. */
const isCounted = (name: string): boolean =>
  /^llama-(lora(?!-embedding|-tokens)|oft|boft|ia3|vera|fourierft)/.test(name);

declare module "vitest" {
  interface TaskMeta {
    /** What `scripts/support-table.mjs` makes its table from. */
    support?: {
      readonly method: string;
      /** `model_type` of the base. */
      readonly model: string;
      /** What the base's logits are of. */
      readonly head: string;
      readonly executor: string;
      /** Null where there is nothing to do: some methods cannot be merged. */
      readonly parts: Readonly<Record<Part, boolean | null>>;
    };
  }
}

type Part = "train" | "merge" | "load" | "save";

/** Sets are written sorted, PEFT writes them in any order. */
const comparable = (text: string): unknown =>
  JSON.parse(text, (_key, value: unknown) => (Array.isArray(value) ? [...(value as unknown[])].sort() : value));

/** What differs between an adapter's files and those that were saved from it. */
function savedOtherwise(name: string, saved: CaseResult["saved"]): string[] {
  const isSame = (part: string, bytes: Uint8Array): boolean => {
    const before = readFileSync(golden(`cases/${name}/${part}`));
    if (part.endsWith(".safetensors")) return before.equals(bytes);
    return isDeepStrictEqual(comparable(new TextDecoder().decode(bytes)), comparable(before.toString()));
  };
  return [...saved].flatMap(([part, bytes]) => (isSame(part, bytes) ? [] : [part]));
}

function expectAll(
  { deviations, saved }: CaseResult,
  goldenCase: GoldenCase,
  executor: string,
  task: TestContext,
): void {
  const { name, expected, facts, adapter, model } = goldenCase;
  const missed = Object.keys(expected).filter((key) => !deviations.has(key) && !deviations.has(`exact_${key}`));
  const wrong = [...deviations].filter(([, by]) => !(by <= 1));
  const otherwise = savedOtherwise(name, saved);
  const fine = (pattern: RegExp): boolean =>
    [...deviations.keys()].some((key) => pattern.test(key)) &&
    ![...missed, ...wrong.map(([key]) => key)].some((key) => pattern.test(key));
  const parts = {
    train: fine(/^(loss|grad|after)/),
    merge: facts.merge.includes("PEFT has none") && !deviations.has("merged_logits") ? null : fine(/^merged/),
    load: fine(/^logits/),
    save: otherwise.length === 0,
  };
  const method = adapter.config.use_dora === true ? "DoRA" : facts.peft_type;
  const head = headKind(model.config, familyHeads(model.config));
  task.task.meta.support = { method, model: String(model.config.model_type), head, executor, parts };
  expect(missed).toEqual([]);
  expect(wrong.map(([key, by]) => `${key}: ${by} times what is allowed`)).toEqual([]);
  expect(otherwise).toEqual([]);
}

describe("on TensorFlow.js", () => {
  it.for(isAll ? names : part(ofMethods, 4))(
    "%s has PEFT's numbers, and is saved as it was loaded",
    async (name, task) => {
      const goldenCase = await loadCase(name);
      expectAll(await runCase(goldenCase, await tfjsExecutor()), goldenCase, "TensorFlow.js", task);
    },
  );
});

describe("on WebAssembly", () => {
  const executor = wasmExecutor();

  // In the order of their names, so that those of a base follow one another: what was generated for one is known to the next.
  it.for([...new Set([...ofMethods, ...part(ofBases, 2), ...part(names, 16)])].sort())(
    "%s has PEFT's numbers, and is saved as it was loaded",
    async (name, task) => {
      const goldenCase = await loadCase(name);
      expectAll(await runCase(goldenCase, executor), goldenCase, "WebAssembly", task);
    },
  );

  it("notices one flipped byte of an adapter", async () => {
    const goldenCase = await loadCase("llama-lora");
    const { tensors } = goldenCase.adapter;
    const key = [...tensors.tensors.keys()][0]!;
    const read = async (name: string) => {
      const tensor = await tensors.read(name);
      if (name !== key) return tensor;
      const bytes = tensor.bytes.slice();
      bytes[2]! ^= 0x40;
      return { ...tensor, bytes };
    };
    const changed = {
      ...goldenCase,
      adapter: { ...goldenCase.adapter, tensors: { ...tensors, tensors: tensors.tensors, read } },
    };
    const { deviations } = await runCase(changed, executor);
    expect(deviations.get("logits")).toBeGreaterThan(1);
  });

  it("notices a tolerance that is too small for f32", async () => {
    const goldenCase = await loadCase("llama-lora");
    const { facts } = goldenCase;
    const narrow = { ...facts, tolerance: { ...facts.tolerance, logits: 1e-12, grad: 1e-12 } };
    const { deviations } = await runCase({ ...goldenCase, facts: narrow }, executor);
    expect(deviations.get("logits")).toBeGreaterThan(1);
    expect([...deviations].some(([key, by]) => key.startsWith("grad.") && by > 1)).toBe(true);
  });
});

describe("on WebGPU", () => {
  let open: OpenDevice;
  let executor: WebgpuExecutor;
  let pipelines: MockInstance<WebgpuExecutor["pipelines"]["get"]>;
  /** Texts of the kernels of the cases that are counted. */
  const texts = new Set<string>();
  beforeAll(async () => {
    open = await sharedDevice();
    executor = webgpuExecutor(open);
    pipelines = vi.spyOn(executor.pipelines, "get");
  });
  afterAll(() => pipelines.mockRestore());

  it.for(isAll ? names : coveringCases)("%s has PEFT's numbers, and is saved as it was loaded", async (name, task) => {
    pipelines.mockClear();
    const goldenCase = await loadCase(name);
    expectAll(await runCase(goldenCase, executor, targetOf(open.target)), goldenCase, "WebGPU", task);
    if (!isCounted(name)) return;
    const kernels = pipelines.mock.calls.flatMap(([given]) => given);
    for (const { wgsl } of kernels) texts.add(wgsl.replace(/^(\/\/.*\n)+/, ""));
  });

  it.runIf(isAll)("makes at most 150 pipelines for those that are counted", () => {
    expect(texts.size).toBeGreaterThan(0);
    expect(texts.size).toBeLessThanOrEqual(150);
  });

  it.runIf(isAll)("computes every op in every schedule in the cases of `npm test` too", async () => {
    const byCase = new Map<string, readonly string[]>();
    for (const name of names) byCase.set(name, await scheduledOps(name, targetOf(open.target)));
    const covered = new Set(coveringCases.flatMap((name) => byCase.get(name)!));
    expect([...byCase.values()].flat().filter((pair) => !covered.has(pair))).toEqual([]);
  });
});
