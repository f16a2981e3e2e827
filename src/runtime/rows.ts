/**
 * Rows of one batch with different adapters. Every adapter that occurs runs the whole batch, with the labels of the other rows masked, and its
 * rows are kept: any mixture of methods and sizes works, at the cost of one forward pass per adapter.
 */
import { WebpeftError } from "../ir/diagnostics.ts";
import { ignoredLabel } from "../models/loss.ts";
import type { AdapterEntry, SessionAdapters } from "./adapters.ts";
import type { SessionBatch } from "./batch.ts";
import type { ForwardResult } from "./session-types.ts";

type Forward = (entry: AdapterEntry, batch: SessionBatch) => Promise<ForwardResult>;

/** The labels of the rows that an adapter has; none of the others counts. */
function ownLabels(labels: ArrayLike<number>, owners: readonly (string | null)[], name: string | null): Int32Array {
  const width = labels.length / owners.length;
  return Int32Array.from(labels, (label, i) => (owners[Math.floor(i / width)] === name ? label : ignoredLabel));
}

/** Logits of every row by its adapter, and the mean loss over the labels of all rows. `forward` divides by the labels of the whole batch. */
export async function mixedForward(
  adapters: SessionAdapters,
  batch: SessionBatch,
  owners: readonly (string | null)[],
  forward: Forward,
): Promise<ForwardResult> {
  const rows = adapters.active.program.batch;
  if (owners.length !== rows) {
    throw new WebpeftError("DATA-BATCH", {
      message: "every row of the batch has one adapter",
      where: "adapters",
      expected: `${rows} names`,
      got: `${owners.length} names`,
    });
  }
  const names = [...new Set(owners)];
  const { labels } = batch;
  let turn = 0;
  const results = await adapters.visit(names, (entry) => {
    const name = names[turn++] ?? null;
    return forward(entry, labels === undefined ? batch : { ...batch, labels: ownLabels(labels, owners, name) });
  });
  const logits = new Float32Array(results[0]!.logits.length);
  const other = results.findIndex((result) => result.logits.length !== logits.length);
  if (other >= 0) {
    throw new WebpeftError("DATA-BATCH", {
      message: "adapters with other numbers of virtual tokens cannot share a batch",
      where: "adapters",
      got: `${names[0] ?? "the base model"} and ${names[other] ?? "the base model"}`,
    });
  }
  const width = logits.length / rows;
  for (const [row, owner] of owners.entries()) {
    const own = results[names.indexOf(owner)]!.logits;
    logits.set(own.subarray(row * width, (row + 1) * width), row * width);
  }
  if (results.some(({ loss }) => loss === undefined)) return { logits };
  return { logits, loss: results.reduce((sum, { loss }) => sum + loss!, 0) };
}
