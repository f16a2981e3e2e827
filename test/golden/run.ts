/** One golden case through the whole path on one executor: everything that PEFT's numbers say about it. */

import assert from "node:assert/strict";
import type { Target } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { asInFiles } from "../../src/runtime/files/slices.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session, SessionBatch } from "../../src/runtime/session/session.ts";
import { mergeInputs } from "../../src/runtime/values/merge-options.ts";
import { deviation, type GoldenCase } from "./helpers.ts";

/** Deviations by tensor, as multiples of what is allowed; and the adapter's files as they are saved from the loaded state. */
export interface CaseResult {
  readonly deviations: ReadonlyMap<string, number>;
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** Two rows: their tokens, of which images have none, and their labels, which models without a decoder of their own do not ask for. */
const shapeOf = ({ input_ids, labels }: SessionBatch) => ({
  ...{ batch: 2, length: (input_ids?.length ?? 2) / 2, mask: true },
  ...(labels === undefined ? {} : { labelLength: Math.ceil(labels.length / 2) }),
});

/** Logits of a model without an adapter. */
async function logitsOf(model: Model, batch: SessionBatch, executor: Executor, target?: Target): Promise<Float32Array> {
  const program = await compile(model, null, {
    ...{ ...shapeOf(batch), mode: "infer" as const },
    ...(target === undefined ? {} : { target }),
  });
  const session = await program.start({ device: executor });
  try {
    return (await session.forward(batch)).logits;
  } finally {
    session.dispose();
  }
}

/**
 * The weight whose ends differ after merging. PEFT writes the change of one end to both, which is another model: the right one has the
 * adapter's logits.
 */
function brokenTie(program: Program, merged: Model): string | undefined {
  if (program.modelConfig.tie_word_embeddings === merged.config.tie_word_embeddings) return undefined;
  return program.model.modules.find(({ kind }) => kind === "embedding")!.weight;
}

/** Logits of every row from the model that is merged for the row's own task; undefined where the adapter reads nothing of a batch. */
async function logitsByTask(
  session: Session,
  batch: SessionBatch,
  executor: Executor,
  target?: Target,
): Promise<Float32Array | undefined> {
  const [input] = mergeInputs(session.program.adapter);
  if (input === undefined) return undefined;
  const tasks = Array.from((batch as Readonly<Record<string, ArrayLike<number>>>)[input.name]!);
  const rows = tasks.map(async (task, row) => {
    const { [input.name]: _read, ...own } = batch as Readonly<Record<string, ArrayLike<number>>>;
    const logits = await logitsOf(await session.merge(undefined, { [input.option]: task }), own, executor, target);
    const width = logits.length / tasks.length;
    return [...logits.subarray(row * width, (row + 1) * width)];
  });
  return Float32Array.from((await Promise.all(rows)).flat());
}

const adamW = { lr: 1e-2, weightDecay: 0.01 };

export async function runCase(golden: GoldenCase, executor: Executor, target?: Target): Promise<CaseResult> {
  const { inputs, expected, model, adapter } = golden;
  const program = await compile(model, adapter, {
    ...{ ...shapeOf(inputs), sampling: false, loaded: true, strict: false },
    ...(target === undefined ? {} : { target }),
  });
  const session = await program.start({ device: executor, adapter });
  const trained = program.adapter!.tensors.filter(({ role }) => role === "param");
  const deviations = new Map<string, number>();
  const compare = (key: string, got: ArrayLike<number>): void => {
    // Where PEFT's own numbers are wrong, the right ones stand beside them.
    const right = expected[`exact_${key}`] === undefined ? key : `exact_${key}`;
    if (expected[right] !== undefined) deviations.set(right, deviation(golden, right, got));
  };
  const batch = inputs as SessionBatch;
  const train = async (): Promise<void> => {
    for (let step = 0; step < 4; step++) compare(`loss.${step}`, [(await session.step(batch, adamW)).loss]);
    const [after, inFile] = [await session.parameters(), await session.adapterTensors()];
    for (const { key, aliases } of trained) {
      for (const name of [key, ...aliases]) compare(`after.${name}`, toFloat32(inFile.get(name)!));
      compare(`after_delta.${key}`, after.get(key)!);
    }
  };
  try {
    const saved = await session.files();
    for (const [key, data] of await session.parameters()) compare(`delta.${key}`, data);
    const { logits, loss } = await session.forward(batch);
    compare("logits", logits);
    compare("loss", [loss!]);
    const { gradients } = await session.gradients(batch);
    for (const { key, aliases } of trained)
      for (const name of [key, ...aliases]) compare(`grad.${name}`, gradients[key]!);
    const byTask = await logitsByTask(session, batch, executor, target);
    if (byTask !== undefined) deviations.set("merged_logits", deviation(golden, "logits", byTask));
    if (byTask === undefined && golden.facts.merge.includes("PEFT has none")) {
      const code = program.adapter!.options.length > 0 ? "MERGE-OPTION" : "MERGE-METHOD";
      await assert.rejects(session.merge(), { code });
      await train();
      return { deviations, saved };
    }
    const merged = byTask === undefined ? await session.merge() : model;
    const tied = brokenTie(program, merged);
    for (const key of Object.keys(expected).filter((name) => name.startsWith("merged."))) {
      const weight = key.slice("merged.".length);
      if (weight === tied) deviations.set(key, 0);
      else compare(key, toFloat32(await asInFiles(merged).read(weight)));
    }
    if (expected.merged_logits !== undefined) {
      const got = await logitsOf(merged, batch, executor, target);
      if (tied === undefined) compare("merged_logits", got);
      else deviations.set("merged_logits", deviation(golden, "logits", got));
    }
    if (!golden.facts.training_run) {
      await assert.rejects(session.step(batch, adamW), { code: "TRAIN-TOP-K" });
      return { deviations, saved };
    }
    await train();
    return { deviations, saved };
  } finally {
    session.dispose();
  }
}
