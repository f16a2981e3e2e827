/** Routing by tasks: what is drawn, what is merged, what is refused. PEFT's numbers are in the golden cases. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { compact } from "../../src/ir/graph.ts";
import { elaborateModel, parseMethod } from "../../src/methods/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import type { Session, SessionBatch } from "../../src/runtime/session/session.ts";
import { type GoldenCase, loadCase } from "../golden/helpers.ts";

const routed = parseMethod(`method routed on linear {
  input lanes below 3 as lane;
  param logits[3, in] = zeros at "logits";
  W' = W @ per_sample(relaxed_bits(gather(logits, lanes), 0.5));
}`);

/** The entries of the diagonal for samples of lanes 2, 0, 2, ... whose logits are 0.1, 0.2 ... in steps. */
function gates({ sampling = true, samples = 4, offset = 0, step = 3, width = 6 }): number[] {
  const site = { path: "q", kind: "linear", in: width, out: 2, fields: {}, index: 0, layout: "linear" } as const;
  const elaboration = elaborateModel(routed, {
    sites: [site],
    situation: { purpose: "train", sampling },
    fields: {},
    sink: new DiagnosticSink(),
  });
  const b = new Builder("gates");
  const weight = b.dense(b.port("W", "weight", "f32", [2, width]));
  const scalar = (name: string): number => b.port(name, "input", "u32", []);
  const scalars = {
    seed: scalar("seed"),
    step: scalar("step"),
    sampleOffset: scalar("sample_offset"),
    pass: scalar("pass"),
    training: b.constant(1),
  };
  const made = elaboration.site(0, b, { weight, base: weight, scalars, samples });
  const gate = b.node(b.node(made.weight).inputs[1]!);
  expect(gate.op).toBe("op.gate");
  const logits = Array.from({ length: 3 * width }, (_unused, i) => (0.3 * i) / width - 0.4);
  const lanes = Array.from({ length: samples }, (_unused, i) => ((i + offset) % 2 === 0 ? 2 : 0));
  const data = { seed: [7], step: [step], sample_offset: [offset], lanes, "base_model.model.q.logits": logits };
  const graph = compact(b.finish([{ name: "entries", node: gate.inputs[0]! }]));
  return [...evaluate(graph, data).entries!.data];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

describe("relaxed bits", () => {
  it("are probabilities in evaluation", () => {
    const entries = gates({ sampling: false });
    expect(entries[0]).toBeCloseTo(sigmoid(0.6 - 0.4), 6);
    expect(entries[6]).toBeCloseTo(sigmoid(-0.4), 6);
    expect(entries.slice(12, 18)).toEqual(entries.slice(0, 6));
  });

  it("are above one half as often as the bits are 1", () => {
    const width = 20000;
    const entries = gates({ samples: 2, width });
    for (const [row, first] of [0.2, -0.4].entries()) {
      const share = entries.slice(row * width, (row + 1) * width).filter((x) => x > 0.5).length / width;
      // The logits rise by 0.3 along the row; four deviations of the share are 0.014.
      expect(Math.abs(share - sigmoid(first + 0.15))).toBeLessThan(0.014);
      expect(Math.abs(share - sigmoid(first + 0.35))).toBeGreaterThan(0.02);
    }
  });

  it("depend on the step, and on the sample of the accumulated batch, not of the micro-batch", () => {
    const whole = gates({ samples: 4 });
    expect(gates({ samples: 4, step: 4 })).not.toEqual(whole);
    expect(gates({ samples: 2, offset: 2 })).toEqual(whole.slice(12));
    expect(whole.slice(12, 18)).not.toEqual(whole.slice(0, 6));
  });
});

describe("an adapter for two tasks", () => {
  let executor: Executor;
  let goldenCase: GoldenCase;
  let batch: SessionBatch;
  beforeAll(async () => {
    executor = wasmExecutor();
    goldenCase = await loadCase("llama-poly");
    batch = goldenCase.inputs as SessionBatch;
  });

  async function withSession<T>(sampling: boolean, work: (session: Session) => Promise<T>): Promise<T> {
    const { model, adapter } = goldenCase;
    const program = await compile(model, adapter.config, { batch: 2, length: 8, mask: true, sampling, loaded: true });
    const session = await program.start({ device: executor, adapter });
    try {
      return await work(session);
    } finally {
      session.dispose();
    }
  }

  it("merges for a task that is there, and names the option without one", async () => {
    await withSession(false, async (session) => {
      const missing = {
        code: "MERGE-OPTION",
        where: "task",
        expected: "0 to 1",
        help: expect.stringContaining("--task"),
      };
      await expect(session.merge()).rejects.toMatchObject(missing);
      for (const task of [2, -1, 0.5])
        await expect(session.merge(undefined, { task })).rejects.toMatchObject({
          code: "MERGE-OPTION",
          got: String(task),
        });
      const key = "model.layers.0.self_attn.q_proj.weight";
      const [first, second] = [
        await (await session.merge(undefined, { task: 0 })).weights.read(key),
        await (await session.merge(undefined, { task: 1 })).weights.read(key),
      ];
      expect(first.bytes).not.toEqual(second.bytes);
    });
  });

  it("refuses batches without tasks and with others", async () => {
    await withSession(false, async (session) => {
      const { task_ids: _ids, ...without } = batch;
      await expect(session.forward(without)).rejects.toMatchObject({ code: "DATA-BATCH", where: "task_ids" });
      for (const id of [2, -1]) {
        const error = { code: "DATA-TOKEN-RANGE", where: "task_ids[1]", expected: "0 to 1" };
        await expect(session.forward({ ...batch, task_ids: [0, id] })).rejects.toMatchObject(error);
      }
      await expect(session.forward({ ...batch, task_ids: [0] })).rejects.toMatchObject({ code: "DATA-BATCH" });
    });
  });

  it("draws its gates in training and not in evaluation", async () => {
    const { expected } = goldenCase;
    await withSession(true, async (session) => {
      const evaluated = await session.forward(batch);
      expect(evaluated.loss).toBeCloseTo(expected.loss![0]!, 4);
      const { loss } = await session.gradients(batch);
      expect(Math.abs(loss - expected.loss![0]!)).toBeGreaterThan(1e-5);
      expect((await session.gradients(batch)).loss).toBe(loss);
    });
  });
});
