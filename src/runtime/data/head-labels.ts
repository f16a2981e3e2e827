/** Labels as the head of a model takes them: checked, and in the form of its graph. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import { ignoredOf, labelShape, unlabelled } from "../../models/head.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { ModelHead } from "../../models/model.ts";

/** What a batch may say of its labels. */
interface Labelled {
  readonly labels?: ArrayLike<number> | undefined;
  readonly start_positions?: ArrayLike<number> | undefined;
  readonly end_positions?: ArrayLike<number> | undefined;
}

const spanNames = ["start_positions", "end_positions"] as const;

/** The tensors of a batch that a head learns from. */
export function labelNames({ kind }: Pick<ModelHead, "kind">): readonly (keyof Labelled)[] {
  if (kind === "span") return spanNames;
  return kind === "none" ? [] : ["labels"];
}

/** Whether a batch has something to learn from. */
export const isLabelled = (batch: Labelled): boolean =>
  [batch.labels, batch.start_positions, batch.end_positions].some((given) => given !== undefined);

/** What a head takes, in words, with the shape that it has for a batch. */
export function takenLabels(head: ModelHead, batch: number | "batch", length: number | "length"): string {
  const { kind, classes, labels } = head;
  if (kind === "none") return "no labels: the model has no head";
  if (kind === "span")
    return `start_positions [${batch}] and end_positions [${batch}]: the first and the last token of a span`;
  const last = classes - 1;
  if (kind !== "sequence") {
    const what = kind === "token" ? `the class of every token, 0 to ${last}` : `tokens, 0 to ${last}`;
    return `labels [${batch}, ${head.length ?? length}]: ${what}, or ${ignoredLabel} where none counts`;
  }
  const rows = classes > 1 && labels !== undefined ? `[${batch}, ${classes}]` : `[${batch}]`;
  if (labels === "numbers") return `labels ${rows}: numbers`;
  if (labels === "flags") return `labels ${rows}: floats, 1 for every class that a row is in and 0 for the others`;
  return `labels ${rows}: the class of every row, a whole number from 0 to ${last}`;
}

const misfit = (message: string, where: string, expected: string, got: string, help?: string): WebpeftError =>
  new WebpeftError("DATA-BATCH", { message, where, expected, got, ...(help === undefined ? {} : { help }) });

/** Throws `DATA-BATCH` for labels of another kind of head. */
export function refuseLabels(head: ModelHead, given: Labelled, batch: number, length: number): void {
  const taken = labelNames(head);
  const other = (["labels", ...spanNames] as const).find((name) => given[name] !== undefined && !taken.includes(name));
  if (other === undefined) return;
  throw misfit(
    `the head of the model does not learn from ${other}`,
    other,
    takenLabels(head, batch, length),
    `${given[other]!.length} numbers`,
    head.kind === "none" ? "give the model a head: --labels N, or { head: { labels: N } } in calls" : undefined,
  );
}

/** Sizes of a batch; `positions` are those of the logits, virtual tokens in front included. */
interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly positions: number;
}

/**
 * What the port `labels` gets: the labels, none that count where the batch has none, of spans their places side by side. Undefined where the
 * graph has no such port. Throws `DATA-BATCH` for another number of labels and for numbers that the head does not take, `DATA-TOKEN-RANGE` for
 * classes that it does not have.
 */
export function headLabels(head: ModelHead, given: Labelled, sizes: Sizes): ArrayLike<number> | undefined {
  if (head.kind === "none") return undefined;
  if (head.kind === "span") return spanLabels(head, given, sizes);
  const { batch, length } = sizes;
  const wanted = labelShape(head, batch, length);
  const { labels = unlabelled(head, batch, length) } = given;
  const taken = takenLabels(head, batch, length);
  if (labels.length !== sizeOf(wanted))
    throw misfit(
      "labels has another size than the head of the model takes",
      "labels",
      taken,
      `${labels.length} numbers`,
      severalAtOnce(head, labels, batch),
    );
  checkLabels(head, labels, taken);
  return labels;
}

/** Flags for a head that takes one class of each row. */
const severalAtOnce = ({ kind, classes, labels }: ModelHead, given: ArrayLike<number>, batch: number) =>
  kind === "sequence" && labels === undefined && given.length === batch * classes
    ? 'for several classes at once set "problem_type": "multi_label_classification" in config.json'
    : undefined;

function checkLabels(head: ModelHead, given: ArrayLike<number>, taken: string): void {
  const { kind, classes, labels } = head;
  const ignored = ignoredOf(head);
  const isClass = (x: number): boolean => Number.isInteger(x) && x >= 0 && x < classes;
  const fits = {
    flags: (x: number) => x >= 0 && x <= 1,
    numbers: Number.isFinite,
    classes: isClass,
  }[labels ?? "classes"];
  const odd = Array.prototype.findIndex.call(given, (x: number) => x !== ignored && !fits(x));
  if (odd < 0) return;
  const facts = { where: `labels[${odd}]`, expected: taken, got: String(given[odd]) };
  if (labels !== undefined)
    throw new WebpeftError("DATA-BATCH", { message: "a label is no number of its kind", ...facts });
  const isOfTokens = kind === "causal" || kind === "decoder";
  throw new WebpeftError("DATA-TOKEN-RANGE", {
    message: isOfTokens ? "a label is no token of the vocabulary" : "a label is no class of the model",
    ...facts,
  });
}

/** First and last places of every row, side by side; those behind the text do not count, those before it are its first place, as in transformers. */
function spanLabels(head: ModelHead, given: Labelled, { batch, length, positions }: Sizes): Int32Array {
  const labels = new Int32Array(2 * batch).fill(ignoredLabel);
  if (!isLabelled(given)) return labels;
  for (const [end, name] of spanNames.entries()) {
    const places = given[name];
    const taken = takenLabels(head, batch, length);
    if (places === undefined) throw misfit(`the batch lacks ${name}`, name, taken, "the other end alone");
    if (places.length !== batch)
      throw misfit(
        `${name} has another size than the head of the model takes`,
        name,
        taken,
        `${places.length} numbers`,
      );
    for (let row = 0; row < batch; row++) {
      const place = places[row]!;
      if (!Number.isInteger(place)) throw misfit("a place is no whole number", `${name}[${row}]`, taken, String(place));
      if (place < positions) labels[2 * row + end] = Math.max(0, place);
    }
  }
  return labels;
}
