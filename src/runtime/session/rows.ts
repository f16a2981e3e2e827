/**
 * Rows of one batch with different adapters. Every adapter that occurs runs the whole batch, with the labels of the other rows masked, and its
 * rows are kept: any mixture of methods and sizes works, at the cost of one forward pass per adapter.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { SessionBatch } from "../data/batch.ts";
import { labelRole, paddingRole } from "../data/batches.ts";
import { type ForwardResult, mainNumbers } from "../runs/forward.ts";
import type { AdapterEntry, SessionAdapters } from "./adapters.ts";

type Forward = (entry: AdapterEntry, batch: SessionBatch) => Promise<ForwardResult>;

type Owners = readonly (string | null)[];

/** Numbers of the rows that an adapter has, and `other` in the other rows. */
function ownRows(given: ArrayLike<number>, owners: Owners, name: string | null, other: number): Int32Array {
  const width = given.length / owners.length;
  return Int32Array.from(given, (x, i) => (owners[Math.floor(i / width)] === name ? x : other));
}

/** A batch in which only the rows of one adapter have something to learn; without labels where none `ignores` labels, which all count. */
function ownBatch(batch: SessionBatch, owners: Owners, name: string | null, ignores: boolean): SessionBatch {
  const { labels, input_type_mask } = batch;
  if (!ignores) return { ...batch, labels: undefined, start_positions: undefined, end_positions: undefined };
  if (labels === undefined) return batch;
  const roles = input_type_mask ?? new Int32Array(labels.length).fill(labelRole);
  return {
    ...batch,
    labels: ownRows(labels, owners, name, ignoredLabel),
    input_type_mask: ownRows(roles, owners, name, paddingRole),
  };
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
  const names = [...new Set(owners)];
  const results = await adapters.visit(names, (entry, place) =>
    forward(entry, ownBatch(batch, owners, names[place] ?? null, head.labels === undefined && head.kind !== "span")),
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
