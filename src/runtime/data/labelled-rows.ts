/** Lines with labels as batches: rows are padded on the right, with a mask. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { unlabelled } from "../../models/head.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { ModelHead } from "../../models/model.ts";
import { isJsonObject } from "../files/json.ts";
import { BatchOrder, type BatchPlan } from "./batches.ts";
import { parseLine } from "./examples.ts";
import type { DataReport } from "./fit.ts";
import { lineFault, type RowLabels } from "./row-labels.ts";
import { type LabelledRow, lineForm, readRows } from "./row-records.ts";
import type { BatchStream, StreamBatch } from "./stream.ts";
import type { TextTokenizer } from "./tokenizer.ts";

type RowPlan = BatchPlan & {
  readonly file: string;
  /** Whether the model reads types of tokens. */
  readonly types?: boolean;
  /** Tokens that windows of a context share; rows have the first tokens of a context alone where it is not given. */
  readonly stride?: number | undefined;
};

/** The rows of a file with their lines. Throws `DATA-LINE` for lines that are none, `DATA-EMPTY` for a file without any. */
function rowsOfFile(
  text: string,
  tokenizer: TextTokenizer,
  labels: RowLabels,
  { file, length, stride }: RowPlan,
): [number, LabelledRow][] {
  const rows = text.split("\n").flatMap((content, i): [number, LabelledRow][] => {
    if (content.trim() === "") return [];
    const where = `${file}:${i + 1}`;
    const record = parseLine(content, file, i + 1);
    if (isJsonObject(record)) {
      const made = readRows(record, tokenizer, labels, { length, stride, where });
      return made.map((row) => [i + 1, row]);
    }
    throw lineFault("the line is no example for the head of the model", where, lineForm(labels.head)!, record);
  });
  if (rows.length > 0) return rows;
  throw new WebpeftError("DATA-EMPTY", { message: "the data holds no text with a label", where: file });
}

/** Whether something of a row counts. */
function counts({ label }: LabelledRow, { kind, labels }: ModelHead, length: number): boolean {
  if (labels !== undefined) return true;
  return kind === "span" ? label.every((place) => place < length) : label.some((one) => one !== ignoredLabel);
}

/** Rows that count. Throws `DATA-LABELS-MASKED` where none does. */
function usableRows(
  lines: readonly [number, LabelledRow][],
  head: ModelHead,
  { length, file }: RowPlan,
): readonly [number, LabelledRow][] {
  const usable = lines.filter(([, row]) => counts(row, head, length));
  if (usable.length > 0) return usable;
  const most = Math.max(...lines.map(([, { whole }]) => whole));
  throw new WebpeftError("DATA-LABELS-MASKED", {
    message: "no label of the data counts, so there is nothing to learn",
    where: file,
    expected: head.kind === "span" ? "an answer within the tokens of a row" : "a label that is not -100",
    got: `${lines.length} line${lines.length === 1 ? "" : "s"} without any`,
    help:
      most <= length
        ? "nothing was cut off: check the labels of the data"
        : `--length ${most} keeps all tokens${head.kind === "span" ? ", and so does --doc-stride N in windows" : ""}`,
  });
}

/** Batches of the rows of a file. The last batch of an epoch is filled with empty rows that do not count. */
export function rowStream(text: string, tokenizer: TextTokenizer, labels: RowLabels, plan: RowPlan): BatchStream {
  const { batch, length, file } = plan;
  const { head } = labels;
  const lines = rowsOfFile(text, tokenizer, labels, plan);
  const usable = usableRows(lines, head, plan);
  const order = new BatchOrder(usable.length, plan);
  const kept = new Set(usable.map(([line]) => line));
  const long = lines.filter(([, { whole }]) => whole > length);
  const report: DataReport = {
    ...{ file, examples: new Set(lines.map(([line]) => line)).size, length },
    dropped: lines.flatMap(([line]) => (kept.has(line) ? [] : [line])),
    cut: long.flatMap(([line]) => (kept.has(line) ? [line] : [])),
    ...(long.length === 0 ? {} : { keepsAll: Math.max(...long.map(([, { whole }]) => whole)) }),
    ...(head.kind === "span" && plan.stride === undefined ? { windows: true } : {}),
  };
  return {
    ...{ batch, length, mask: true, stepsPerEpoch: order.stepsPerEpoch, report },
    step: (step) =>
      order.step(step).map((chosen) =>
        padRows(
          chosen.map((i) => usable[i]![1]),
          head,
          plan,
        ),
      ),
  };
}

function padRows(rows: readonly LabelledRow[], head: ModelHead, plan: RowPlan): StreamBatch {
  const { batch, length, padToken, types = false } = plan;
  const padded = (of: (row: LabelledRow) => readonly number[], fill: number): Int32Array => {
    const tensor = new Int32Array(batch * length).fill(fill);
    for (const [row, one] of rows.entries()) tensor.set(of(one), row * length);
    return tensor;
  };
  return {
    input_ids: padded(({ ids }) => ids, padToken),
    attention_mask: padded(({ ids }) => ids.map(() => 1), 0),
    ...(types ? { token_type_ids: padded(({ ids, types: own }) => own ?? ids.map(() => 0), 0) } : {}),
    ...labelsOf(rows, head, plan),
    tokens: rows.reduce((sum, { ids }) => sum + ids.length, 0),
  };
}

function labelsOf(rows: readonly LabelledRow[], head: ModelHead, { batch, length }: RowPlan): Partial<StreamBatch> {
  if (head.kind === "span") {
    // Places outside of a row do not count.
    const ends = (end: 0 | 1) => Int32Array.from({ length: batch }, (_unused, row) => rows[row]?.label[end] ?? length);
    return { start_positions: ends(0), end_positions: ends(1) };
  }
  const labels = unlabelled(head, batch, length);
  for (const [row, { label }] of rows.entries()) labels.set(label, (row * labels.length) / batch);
  return { labels };
}
