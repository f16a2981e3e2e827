/**
 * Rows of one batch with different adapters. Every adapter that occurs runs the whole batch, with the labels of the other rows masked, and its
 * rows are kept: any mixture of methods and sizes works, at the cost of one forward pass per adapter.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { ignoredOf } from "../../models/head.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { ModelHead } from "../../models/model.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { SessionBatch } from "../data/batch.ts";
import { labelRole, paddingRole } from "../data/batches.ts";
import { headLabels, isLabelled } from "../data/head-labels.ts";
import { type ForwardResult, mainNumbers } from "../runs/forward.ts";
import type { AdapterEntry, SessionAdapters } from "./adapters.ts";

type Forward = (entry: AdapterEntry, batch: SessionBatch) => Promise<ForwardResult>;

type Owners = readonly (string | null)[];

/** Numbers of the rows that an adapter has, and `other` in the other rows. */
function ownRows(given: ArrayLike<number>, owners: Owners, name: string | null, other: number): number[] {
  const width = given.length / owners.length;
  return Array.from(given, (x, i) => (owners[Math.floor(i / width)] === name ? x : other));
}

/** A place behind every text, which does not count. */
const outside = 2 ** 30;

/** A batch in which only the rows of one adapter have something to learn. */
function ownBatch(batch: SessionBatch, owners: Owners, name: string | null, head: ModelHead): SessionBatch {
  const { labels, start_positions: start, end_positions: end, input_type_mask } = batch;
  const own = (given: ArrayLike<number>, other: number): number[] => ownRows(given, owners, name, other);
  return {
    ...batch,
    ...(start && { start_positions: own(start, outside) }),
    ...(end && { end_positions: own(end, outside) }),
    ...(labels && {
      labels: own(labels, ignoredOf(head)),
      input_type_mask: own(input_type_mask ?? new Int32Array(labels.length).fill(labelRole), paddingRole),
    }),
  };
}

/**
 * Throws `DATA-BATCH` for a span of which one end counts alone: the loss of spans is the mean of those of both ends, which the losses of the
 * adapters do not tell apart.
 */
function requireBothEnds({ batch: rows, length, model, virtual }: CompiledProgram, batch: SessionBatch): void {
  const { head } = model.defaults;
  if (head.kind !== "span" || !isLabelled(batch)) return;
  const places = headLabels(head, batch, { batch: rows, length, positions: virtual.tokens + length })!;
  const counts = (end: number): boolean => places[end] !== ignoredLabel;
  const odd = Array.from({ length: rows }, (_unused, row) => row).find(
    (row) => counts(2 * row) !== counts(2 * row + 1),
  );
  if (odd === undefined) return;
  throw new WebpeftError("DATA-BATCH", {
    message:
      "one end of a span lies in the text and the other one behind it: among rows of several adapters it has no loss",
    where: `start_positions[${odd}] and end_positions[${odd}]`,
    expected: "both ends in the text or both behind it, or a batch without places",
    got: `${batch.start_positions?.[odd]} and ${batch.end_positions?.[odd]}`,
  });
}

/** Logits of every row by its adapter, and the mean loss over the labels of all rows. */
export async function mixedForward(
  adapters: SessionAdapters,
  batch: SessionBatch,
  owners: Owners,
  forward: Forward,
): Promise<ForwardResult> {
  const { batch: rows, model } = adapters.active.program;
  const { head } = model.defaults;
  if (owners.length !== rows) {
    throw new WebpeftError("DATA-BATCH", {
      message: "every row of the batch has one adapter",
      where: "adapters",
      expected: `${rows} names`,
      got: `${owners.length} names`,
    });
  }
  requireBothEnds(adapters.active.program, batch);
  const names = [...new Set(owners)];
  const results = await adapters.visit(names, (entry, place) =>
    forward(entry, ownBatch(batch, owners, names[place] ?? null, head)),
  );
  const logits = new Float32Array(mainNumbers(results[0]!).length);
  const other = results.findIndex((result) => mainNumbers(result).length !== logits.length);
  if (other >= 0) {
    throw new WebpeftError("DATA-BATCH", {
      message: "adapters with other numbers of virtual tokens cannot share a batch",
      where: "adapters",
      got: `${names[0] ?? "the base model"} and ${names[other] ?? "the base model"}`,
    });
  }
  const width = logits.length / rows;
  for (const [row, owner] of owners.entries()) {
    const own = mainNumbers(results[names.indexOf(owner)]!);
    logits.set(own.subarray(row * width, (row + 1) * width), row * width);
  }
  const counted = results.reduce((sum, { labels = 0 }) => sum + labels, 0);
  if (head.kind === "none") return { logits: new Float32Array(), hidden: logits };
  if (counted === 0) return { logits };
  const total = results.reduce((sum, { loss = 0, labels = 0 }) => sum + loss * labels, 0);
  return { logits, loss: total / counted, labels: counted };
}
