/** CPT: the loss with labels of the context, the bounded offset. PEFT's numbers of whole runs are in the golden cases. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { compact } from "../../src/ir/graph.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Elaboration, elaborateModel, evaluation, methods, tensorValue } from "../../src/methods/index.ts";
import { causalLoss } from "../../src/models/loss.ts";
import { associate } from "../../src/passes/associate.ts";

type Fields = Readonly<Record<string, FieldValue>>;
const cpt = methods.get("CPT")!;

const numbers = (count: number, f: (k: number) => number): Float32Array =>
  Float32Array.from({ length: count }, (_unused, k) => f(k));
const fill = (count: number, j: number): Float32Array =>
  numbers(count, (k) => 0.3 * Math.sin((0.61 + 0.05 * j) * k + 0.1 * (j + 1)));

/** CPT on a table of 5 tokens of this width. */
function toy(width: number, given: Fields): Elaboration {
  const ids = given.cpt_token_ids as readonly number[];
  const defaults = Object.fromEntries(cpt.fields.map((field) => [field.name, field.default]));
  const ofModel = { token_dim: width, num_transformer_submodules: 1, task_type: "CAUSAL_LM" };
  const started: Fields = { ...defaults, ...ofModel, ...given };
  const fields: Fields = { ...started, ...cpt.settle(started, new Set(Object.keys(given))) };
  const site = {
    path: "",
    kind: "prompt",
    in: 5,
    out: width,
    fields,
    index: 0,
    layout: "linear",
    weight: "table",
  } as const;
  expect(fields.num_virtual_tokens).toBe(ids.length);
  return elaborateModel(cpt, { sites: [site], situation: evaluation, fields, sink: new DiagnosticSink() });
}

/** What the method puts in place, beside inputs of 2 rows. */
function additions(elaboration: Elaboration, builder: Builder, width: number, length: number) {
  const labels = tensorValue(builder.port("labels", "input", "i32", [2, length]));
  const table = builder.port("table", "weight", "f32", [5, width]);
  const scalar = (name: string): number => builder.port(name, "input", "u32", []);
  return elaboration.additions(0, builder, {
    base: builder.add("op.transpose", [builder.dense(table)]),
    samples: 2,
    length,
    words: new Map([["labels", labels]]),
    scalars: {
      ...{ seed: scalar("seed"), step: scalar("step"), sampleOffset: scalar("sample_offset"), pass: scalar("pass") },
      training: builder.constant(1),
    },
  });
}

describe("the loss", () => {
  /** Logits [2, 6, 5] with one token of context. The codes of the text are what the case's are before those of the context are put in front. */
  function lossOf(fields: Fields, codes: readonly number[], labels: readonly number[]): number {
    const elaboration = toy(8, { cpt_token_ids: [1], cpt_tokens_type_mask: [1], ...fields });
    const b = new Builder("loss");
    const made = additions(elaboration, b, 8, 5);
    const logits = b.port("logits", "input", "f32", [2, 6, 5]);
    const scale = b.port("label_scale", "input", "f32", []);
    const loss = causalLoss(b, logits, made.get("labels")!, scale, made.get("weights"));
    const outputs = [
      { name: "loss", node: loss },
      { name: "labels", node: made.get("labels")! },
    ];
    const data = {
      ...Object.fromEntries(elaboration.notes.data),
      ...{ logits: numbers(60, (k) => Math.sin(0.7 * k + 0.3)), labels, input_type_mask: codes },
    };
    const graph = compact(b.finish(outputs));
    const counted = [...evaluate(graph, { ...data, label_scale: [1] }).labels!.data].filter((label) => label !== -100);
    return evaluate(graph, { ...data, label_scale: [1 / counted.length] }).loss!.data[0]!;
  }

  const codes = [2, 3, 4, 7, 8, 4, 3, 4, 8, 8];
  const labels = [2, 3, 4, 0, 1, 3, 2, 1, 0, 2];
  const decay = { opt_weighted_loss_type: "decay", opt_loss_decay_factor: 0.8 };

  it("is PEFT's, with and without decay", () => {
    expect(lossOf({}, codes, labels)).toBeCloseTo(2.024213, 5);
    expect(lossOf({ opt_loss_decay_factor: 0.8 }, codes, labels)).toBeCloseTo(2.024213, 5);
    expect(lossOf(decay, codes, labels)).toBeCloseTo(1.792198, 5);
    const other = codes.with(2, 3);
    expect(Math.abs(lossOf(decay, other, labels) - 1.792198)).toBeGreaterThan(0.01);
  });

  it("counts the last example alone where the factor is 0", () => {
    const last = lossOf({ ...decay, opt_loss_decay_factor: 0 }, codes, labels);
    const alone = labels.map((label, i) => (codes[i] === 8 ? label : -100));
    expect(last / (3 / 6)).toBeCloseTo(lossOf({}, codes, alone), 5);
  });
});

describe("the prompt", () => {
  const fields = {
    ...{ cpt_token_ids: [0, 1, 2, 3], cpt_tokens_type_mask: [1, 2, 3, 4] },
    ...{ opt_projection_epsilon: 1, opt_projection_format_epsilon: 2 },
  };
  const data = { table: Float32Array.of(...fill(32, 1), ...new Float32Array(8)), prompt_embeddings: fill(32, 0) };

  it("is PEFT's, with the offset in its balls", () => {
    const elaboration = toy(8, fields);
    const b = new Builder("prompt");
    const rows = additions(elaboration, b, 8, 2).get("rows")!;
    const graph = associate(compact(b.finish([{ name: "rows", node: rows }])), { train: false }).graph;
    const made = evaluate(graph, { ...Object.fromEntries(elaboration.notes.data), ...data }).rows!.data;
    const wanted = [0.066008, 0.269187, 0.361784, 0.306114];
    for (const [i, x] of wanted.entries()) expect(made[i]).toBeCloseTo(x, 5);
    expect(made.at(-1)).toBeCloseTo(0.291426, 5);
    expect(made.reduce((sum, x) => sum + x, 0)).toBeCloseTo(0.79782, 4);
  });

  it("has offsets of these norms after a projection, and zeros stay", () => {
    const elaboration = toy(8, fields);
    const graph = compact(elaboration.projectionGraph()!);
    const norms = (offset: Float32Array): number[] => {
      const ports = { ...Object.fromEntries(elaboration.notes.data), prompt_embeddings: offset };
      const made = evaluate(graph, ports).prompt_embeddings!.data;
      return [0, 1, 2, 3].map((row) => Math.hypot(...made.subarray(8 * row, 8 * row + 8)));
    };
    const got = norms(fill(32, 0));
    for (const [i, norm] of [0.125, 0.0625, 0.125, 1e-10].entries()) expect(got[i]! / norm).toBeCloseTo(1, 6);
    expect(norms(new Float32Array(32))).toEqual([0, 0, 0, 0]);
    const short = norms(numbers(32, () => 0.01));
    expect(short[0]).toBeCloseTo(Math.hypot(...new Array<number>(8).fill(0.01)), 8);
  });
});
