/** Labels that count, as the adapter in use has them. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { evaluate } from "../../ir/evaluate.ts";
import { countLabels } from "../../models/head.ts";
import type { CompiledProgram } from "../../program/index.ts";
import { batchInputs, type SessionBatch } from "./batch.ts";
import type { BatchStream } from "./dataset.ts";
import { isLabelled } from "./head-labels.ts";

type Inputs = Readonly<Record<string, ArrayLike<number>>>;

/** How many labels of a batch count; 0 for a batch without labels. `inputs`: what `batchInputs` makes of it. Throws what that throws. */
export function countedLabels(program: CompiledProgram, batch: SessionBatch, inputs?: Inputs): number {
  const { length, model, virtual, adapter } = program;
  if (!isLabelled(batch)) return 0;
  const { labels, ...others } = inputs ?? batchInputs(program, batch);
  if (adapter?.labels === undefined) return countLabels(labels!, length, model.defaults.head, virtual.tokens);
  const known = { ...Object.fromEntries(adapter.data), ...others, labels: labels! };
  const made = evaluate(adapter.labels, known).labels!.data;
  return countLabels(made, virtual.tokens + length, model.defaults.head);
}

/** How many labels of each of some batches count, and of all of them; `inputs` as in `countedLabels`. Throws `DATA-LABELS-MASKED` when none does. */
export function requireLabels(
  program: CompiledProgram,
  batches: readonly SessionBatch[],
  inputs: readonly Inputs[],
): { readonly each: readonly number[]; readonly all: number } {
  const each = batches.map((batch, i) => countedLabels(program, batch, inputs[i]));
  const all = each.reduce((sum, count) => sum + count, 0);
  if (all > 0) return { each, all };
  throw new WebpeftError("DATA-LABELS-MASKED", {
    message: "no label of the batch counts",
    where: "labels",
    expected: "a label that is not -100; of a causal model behind the first token",
    help: "rows of one token teach a causal model nothing: take longer ones, or a program that only evaluates (mode infer)",
  });
}

/** What there is to learn in all data of a stream. Throws `DATA-LABELS-MASKED` when it is nothing. */
export function dataLabels(program: CompiledProgram, stream: BatchStream): { trained: number; ignored: number } {
  const isOfRows = program.model.defaults.head.kind === "sequence";
  let [trained, places] = [0, 0];
  for (let step = 0; step < (stream.stepsPerEpoch ?? 1); step++) {
    for (const batch of stream.step(step)) {
      trained += countedLabels(program, batch);
      const given = batch.labels?.length ?? 2 * stream.batch;
      places += isOfRows ? given : Math.min(given, batch.tokens);
    }
  }
  if (trained > 0) return { trained, ignored: Math.max(0, places - trained) };
  throw new WebpeftError("DATA-LABELS-MASKED", {
    message: "no label of the data counts, so there is nothing to learn",
    where: "labels",
  });
}
