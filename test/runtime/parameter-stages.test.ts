/** What parameters alone decide is made once for all runs with the same parameters, and gradients go through it once per optimizer step. */
import { describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../src/compile/index.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { KernelTime } from "../../src/runtime/executors/executor.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { SessionBatch } from "../../src/runtime/session/session.ts";
import { part } from "../extent.ts";
import { loadCase } from "../golden/helpers.ts";
import { difference } from "./executor-samples.ts";

/** A session of a golden case on WebAssembly, its batch, and how often each kernel of a stage has run. */
async function start(name: string, options: CompileOptions = {}) {
  const { model, adapter, inputs } = await loadCase(name);
  const { input_ids, labels } = inputs as Record<"input_ids" | "labels", Int32Array>;
  const length = input_ids.length / 2;
  const program = await compile(model, adapter, { batch: 2, length, sampling: false, ...options });
  const runs = new Map<string, number>();
  const onKernels = (times: readonly KernelTime[]): void => {
    for (const { stage, kernel } of times) {
      const name = kernel.name.startsWith("inverse") ? `${stage} inverse` : stage;
      runs.set(name, (runs.get(name) ?? 0) + 1);
    }
  };
  const session = await program.start({ device: "cpu", adapter, onKernels });
  const rows = [0, 1].map((row): SessionBatch => {
    const of = (data: Int32Array) => data.slice(row * length, (row + 1) * length);
    return { input_ids: of(input_ids), labels: of(labels) };
  });
  return { program, session, adapter, batch: { input_ids, labels } as SessionBatch, rows, runs };
}

const methods = [
  "llama-oft-cayley",
  "llama-oft-coft",
  "llama-boft",
  "llama-hra-gs",
  "llama-lora-dora",
  "llama-adalora",
  "llama-p-tuning",
  "llama-p-tuning-lstm",
  "llama-prefix-tuning-projection",
  "llama-adaptionprompt",
];

describe("an optimizer step", () => {
  it("inverts once, whatever the number of micro-batches", async () => {
    const { program, session, rows, runs } = await start("llama-oft-cayley", { batch: 1, accumulate: true });
    const inverses = program.plan.stages
      .find(({ name }) => name === "micro_parameters")!
      .dispatches.filter(({ kernel }) => kernel.startsWith("inverse")).length;
    expect(inverses).toBeGreaterThan(0);
    for (const micro of [1, 4]) {
      runs.clear();
      await session.step(Array.from({ length: micro }, (_unused, i) => rows[i % 2]!));
      expect([...runs.keys()].filter((key) => key.endsWith("inverse"))).toEqual(["micro_parameters inverse"]);
      expect(runs.get("micro_parameters inverse")).toBe(inverses);
      const of = (stage: string) => program.plan.stages.find(({ name }) => name === stage)!.dispatches.length;
      expect(runs.get("parameters_backward")).toBe(of("parameters_backward"));
      expect(runs.get("accumulate")).toBe(micro * of("accumulate"));
    }
    session.dispose();
  });

  it.each(part(methods, 3))("with %s is the same for a batch and for its rows one by one", async (name) => {
    const whole = await start(name);
    const parts = await start(name, { batch: 1, accumulate: true });
    expect(whole.program.stages.map((stage) => stage.name)).toContain("micro_parameters");
    const one = await whole.session.gradients(whole.batch);
    for (let step = 0; step < 3; step++) {
      const [a, b] = [await whole.session.step(whole.batch), await parts.session.step(parts.rows)];
      expect(b.loss / a.loss).toBeCloseTo(1, 5);
      expect(b.gradNorm / a.gradNorm).toBeCloseTo(1, 4);
    }
    // Gradients of a batch are asked for between steps, and are those of a program that adds none.
    const plain = await start(name, { accumulate: true });
    const again = await plain.session.gradients(plain.batch);
    expect(again.loss).toBe(one.loss);
    for (const [key, gradient] of Object.entries(one.gradients))
      expect(difference(again.gradients[key]!, gradient), key).toBeLessThan(1e-5);
    for (const { session } of [whole, parts, plain]) session.dispose();
  });
});

describe("evaluation", () => {
  it("makes values once until parameters change, by a step, a state or another adapter", async () => {
    const { session, batch, runs, program, adapter } = await start("llama-oft-cayley");
    const count = program.plan.stages.find(({ name }) => name === "forward_parameters")!.dispatches.length;
    let made = 0;
    const forward = async (isMade: boolean) => {
      const { logits } = await session.forward(batch);
      made += isMade ? count : 0;
      const inverses = runs.get("forward_parameters inverse") ?? 0;
      expect((runs.get("forward_parameters") ?? 0) + inverses).toBe(made);
      return logits;
    };
    const first = await forward(true);
    expect(await forward(false)).toEqual(first);
    const state = await session.optimizerState();
    await session.step(batch, { lr: 1e-2 });
    const second = await forward(true);
    expect(difference(second, first)).toBeGreaterThan(1e-3);
    await session.gradients(batch);
    expect(await forward(true)).toEqual(second);
    await session.restore(state);
    expect(await forward(true)).toEqual(first);
    await session.step(batch, { lr: 1e-2 });
    await session.load("other", adapter);
    await session.use("other");
    expect(await forward(true)).toEqual(first);
    await session.use("default");
    expect(await forward(true)).toEqual(second);
    session.dispose();
  });
});

describe("saving", () => {
  it.each(["llama-p-tuning", "llama-prefix-tuning-projection"])(
    "%s takes computed tensors from the executor",
    async (name) => {
      const { session, batch, program, runs } = await start(name);
      await session.step(batch, { lr: 1e-2 });
      runs.clear();
      const tensors = await session.adapterTensors();
      expect(runs.get("forward_parameters")).toBeGreaterThan(0);
      const keys = program.computed!.outputs.map((output) => output.name);
      expect(keys.length).toBeGreaterThan(0);
      const exact = evaluate(program.computed!, Object.fromEntries(await session.parameters()));
      for (const key of keys)
        expect(difference(toFloat32(tensors.get(key)!), Float32Array.from(exact[key]!.data)), key).toBeLessThan(1e-6);
      session.dispose();
    },
  );
});
