/**
 * Texts with labels, for classifiers of rows: lines of `{"text","label"}`. A label is a class by its number or its name; a number where logits are to be
 * near numbers (or a list of them); a list of classes where several hold at once. Texts get the tokenizer's special tokens and are padded on
 * the right.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { labelShape } from "../../models/head.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { ModelHead } from "../../models/model.ts";
import { isJsonObject } from "../files/json.ts";
import { BatchOrder, type BatchPlan } from "./batches.ts";
import { parseLine, requireCharacters } from "./examples.ts";
import type { DataReport } from "./fit.ts";
import { takenLabels } from "./head-labels.ts";
import type { BatchStream, StreamBatch } from "./stream.ts";
import type { TextTokenizer } from "./tokenizer.ts";

interface LabelledRow {
  readonly ids: readonly number[];
  /** As many numbers as the head takes for a row. */
  readonly label: readonly number[];
}

/** What the labels of lines may be. */
export interface RowLabels {
  readonly head: ModelHead;
  /** Names of the classes in their order. */
  readonly names: readonly string[];
}

const fault = (message: string, where: string, expected: string, got: unknown): WebpeftError =>
  new WebpeftError("DATA-LINE", { message, where, expected, got: (JSON.stringify(got) ?? "nothing").slice(0, 80) });

/** The numbers of one label. */
function labelOf(value: unknown, { head, names }: RowLabels, where: string): number[] {
  const { labels, classes } = head;
  const classOf = (one: unknown): number => {
    const index = typeof one === "string" ? names.indexOf(one) : one;
    if (Number.isSafeInteger(index) && (index as number) >= 0 && (index as number) < classes) return index as number;
    throw fault("the label is no class of the model", where, `0 to ${classes - 1}, or one of ${names.join(", ")}`, one);
  };
  if (labels === undefined) return [classOf(value)];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (labels === "flags") {
    if (!Array.isArray(value))
      throw fault("the label is no list of classes", where, "a list of those that hold", value);
    const held = new Set(list.map(classOf));
    return Array.from({ length: classes }, (_unused, i) => (held.has(i) ? 1 : 0));
  }
  if (list.length === classes && list.every(Number.isFinite)) return list as number[];
  throw fault("the label is not of as many numbers as the model gives", where, `${classes} numbers`, value);
}

/** The rows of a file, whole. Throws `DATA-LINE` for lines that are none, `DATA-EMPTY` for a file without any. */
function readRows(text: string, tokenizer: TextTokenizer, labels: RowLabels, file: string): [number, LabelledRow][] {
  const rows = text.split("\n").flatMap((line, i): [number, LabelledRow][] => {
    if (line.trim() === "") return [];
    const where = `${file}:${i + 1}`;
    const record = parseLine(line, file, i + 1);
    const { text: given, label } = isJsonObject(record) ? record : {};
    if (typeof given !== "string" || label === undefined) {
      const expected = `{"text": "...", "label": ...}; the model takes ${takenLabels(labels.head, "batch", "length")}`;
      throw fault("the line is no text with a label", where, expected, record);
    }
    requireCharacters([given], where);
    return [[i + 1, { ids: tokenizer.encodeWhole(given), label: labelOf(label, labels, where) }]];
  });
  if (rows.length > 0) return rows;
  throw new WebpeftError("DATA-EMPTY", { message: "the data holds no text with a label", where: file });
}

/** A row cut at `length` tokens; what the tokenizer puts around a text stays. */
function cutRow(ids: readonly number[], length: number, { front, back }: TextTokenizer): readonly number[] {
  if (ids.length <= length) return ids;
  const inner = ids.slice(front.length, ids.length - back.length);
  return [...front, ...inner.slice(0, length - front.length - back.length), ...back].slice(0, length);
}

/**
 * Batches of the rows of a file. The last batch of an epoch is filled with empty rows that do not count, or, where every label counts, with the first
 * rows of the epoch once more.
 */
export function rowStream(
  text: string,
  tokenizer: TextTokenizer,
  labels: RowLabels,
  { file, ...plan }: BatchPlan & { readonly file: string },
): BatchStream {
  const { batch, length } = plan;
  const lines = readRows(text, tokenizer, labels, file);
  const rows = lines.map(([, row]) => ({ ...row, ids: cutRow(row.ids, length, tokenizer) }));
  const order = new BatchOrder(rows.length, plan);
  const cut = lines.filter(([, { ids }]) => ids.length > length);
  const report: DataReport = {
    ...{ file, examples: lines.length, length, dropped: [], cut: cut.map(([line]) => line) },
    ...(cut.length === 0 ? {} : { keepsAll: Math.max(...cut.map(([, { ids }]) => ids.length)) }),
  };
  const fills = labels.head.labels !== undefined;
  return {
    ...{ batch, length, mask: true, stepsPerEpoch: order.stepsPerEpoch, report },
    step: (step) =>
      order.step(step, fills).map((chosen) =>
        padRows(
          chosen.map((i) => rows[i]!),
          labels.head,
          plan,
        ),
      ),
  };
}

function padRows(rows: readonly LabelledRow[], head: ModelHead, { batch, length, padToken }: BatchPlan): StreamBatch {
  const input_ids = new Int32Array(batch * length).fill(padToken);
  const attention_mask = new Int32Array(batch * length);
  const size = labelShape(head, batch, length).reduce((product, n) => product * n, 1);
  const labels = head.labels === undefined ? new Int32Array(size).fill(ignoredLabel) : new Float32Array(size);
  for (const [row, { ids, label }] of rows.entries()) {
    input_ids.set(ids, row * length);
    attention_mask.fill(1, row * length, row * length + ids.length);
    labels.set(label, (row * size) / batch);
  }
  return { input_ids, attention_mask, labels, tokens: rows.reduce((sum, { ids }) => sum + ids.length, 0) };
}
