/** Data files as streams of batches. Every stream is a function of the step, so that a resumed run goes on as an uninterrupted one. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModelHead } from "../../models/model.ts";
import { openSafetensors, type SafetensorsFile } from "../files/safetensors.ts";
import { fileSource } from "../files/source.ts";
import { toFloat32, toInt32 } from "../files/tensor.ts";
import { readWholeText } from "../files/text.ts";
import { unknownName } from "../options.ts";
import { batchTensors } from "./batch.ts";
import { Batches } from "./batches.ts";
import { type Example, lineExamples, textExamples } from "./examples.ts";
import { fitExamples, usableExamples, withTasks } from "./fit.ts";
import { isLabelled, takenLabels } from "./head-labels.ts";
import { rowStream } from "./labelled-rows.ts";
import { lineForm } from "./row-records.ts";
import type { BatchStream, StreamBatch } from "./stream.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export type { BatchStream, StreamBatch } from "./stream.ts";

export interface DatasetOptions {
  readonly batch: number;
  readonly length: number;
  readonly accumulate: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly padToken: number;
  readonly head: ModelHead;
  /** Names of its classes in their order. */
  readonly names?: readonly string[];
  /** Whether the model reads types of tokens. */
  readonly types?: boolean;
  /** Tokens that windows of the context of a question share, where it is longer than a row. */
  readonly stride?: number | undefined;
  /** The task of samples that name none. */
  readonly task?: number | undefined;
  /** Asked for only when the data is text. */
  readonly tokenizer: () => Promise<TextTokenizer>;
}

/** Opens `.txt`, `.jsonl` or `.safetensors`. Throws `DATA-*` and `FILE-*`. */
export async function openDataset(path: string, options: DatasetOptions): Promise<BatchStream> {
  requireQuestions(path, options);
  if (path.endsWith(".safetensors")) return readyBatch(path, options);
  const { head, names = [] } = options;
  const form = lineForm(head);
  const isOfRows = form !== undefined && path.endsWith(".jsonl");
  if (head.kind !== "causal" && !isOfRows) {
    const rows = form === undefined ? "" : `.jsonl with lines of ${form}; or `;
    throw new WebpeftError("DATA-KIND", {
      message: "the head of the model does not learn from texts of this kind",
      where: path,
      expected: `${rows}.safetensors with ${takenLabels(head, "batch", "length")}`,
    });
  }
  const source = await fileSource(path);
  if (!path.endsWith(".txt") && !path.endsWith(".jsonl")) {
    throw new WebpeftError("DATA-KIND", {
      message: "the data is of no known kind",
      where: path,
      expected: ".txt, .jsonl or .safetensors",
      got: /[^/\\.](\.[^/\\.]*)$/.exec(path)?.[1] ?? "a name without an ending",
      help: "write every example as one line of JSON into a .jsonl file, or the text into a .txt file",
    });
  }
  const text = await readWholeText(source, (line) => `${path}:${line}`);
  const tokenizer = await options.tokenizer();
  if (isOfRows) {
    const padToken = tokenizer.padToken ?? options.padToken;
    return rowStream(text, tokenizer, { head, names }, { ...options, padToken, file: path });
  }
  if (path.endsWith(".txt")) {
    const windows = usableExamples(textExamples(text, options.length, tokenizer), path);
    return exampleStream(withTasks(windows, options.task, path), options);
  }
  const { examples, report } = fitExamples(lineExamples(text, tokenizer, path), options.length, path);
  return { ...exampleStream(withTasks(examples, options.task, path), options), report };
}

/** Throws `DATA-OPTION` for windows of what has no context. */
function requireQuestions(path: string, { head, stride }: DatasetOptions): void {
  if (stride === undefined || (head.kind === "span" && path.endsWith(".jsonl"))) return;
  throw new WebpeftError("DATA-OPTION", {
    message: "windows are made of the contexts of questions, which this data does not have",
    where: path,
    expected: `.jsonl for a model that finds spans, or no --doc-stride`,
    got: `stride ${stride}`,
  });
}

function exampleStream(examples: readonly Example[], options: DatasetOptions): BatchStream {
  const batches = new Batches(examples, options);
  return {
    batch: options.batch,
    length: options.length,
    mask: false,
    stepsPerEpoch: batches.stepsPerEpoch,
    step: (step) => batches.step(step),
  };
}

/** The tensors of one batch: whole numbers, and images. */
export interface ReadyBatch extends Partial<Omit<StreamBatch, "tokens">> {
  readonly batch: number;
  /** Tokens of a row; 1 for images. */
  readonly length: number;
  /** Columns of the labels, where there are others than tokens. */
  readonly labelLength?: number | undefined;
}

/** Tensors with a number for every row. */
const ofRows: ReadonlySet<string> = new Set(["task_ids", "start_positions", "end_positions"]);

/** Reads a ready batch for a model with a head; all but `input_ids` or `pixel_values` may be absent. Throws `DATA-BATCH` for tensors that nothing reads. */
export async function readBatch(path: string, head: ModelHead): Promise<ReadyBatch> {
  const file = await openSafetensors(await fileSource(path));
  const unknown = [...file.tensors.keys()].find((name) => !batchTensors.some((known) => known === name));
  if (unknown !== undefined) throw unknownName("tensor", unknown, batchTensors, "DATA-BATCH");
  const images = file.tensors.get("pixel_values")?.shape;
  const shape = images === undefined ? file.tensors.get("input_ids")?.shape : [images[0] ?? 0, 1];
  if (shape === undefined || shape.length !== 2) {
    throw new WebpeftError("DATA-BATCH", {
      message: "a ready batch needs input_ids with two axes",
      where: path,
      expected: "input_ids [batch, length]",
      got: shape === undefined ? [...file.tensors.keys()].join(", ") || "no tensors" : `[${shape.join(", ")}]`,
    });
  }
  const read = async (name: string): Promise<Int32Array | undefined> => {
    const info = file.tensors.get(name);
    if (info === undefined) return undefined;
    const isOfRows = ofRows.has(name) && info.shape.length === 1 && info.shape[0] === shape[0];
    if (!isOfRows && info.shape.join() !== shape.join()) {
      throw new WebpeftError("DATA-BATCH", {
        message: `${name} has another shape than input_ids`,
        where: path,
        expected: `[${shape.join(", ")}]`,
        got: `[${info.shape.join(", ")}]`,
      });
    }
    return Int32Array.from(toInt32(await file.read(name), name));
  };
  const optional: Record<string, Int32Array> = {};
  const others = batchTensors.filter((one) => !["input_ids", "pixel_values", "labels"].includes(one));
  for (const name of others) {
    const tensor = await read(name);
    if (tensor !== undefined) optional[name] = tensor;
  }
  const main =
    images === undefined
      ? { input_ids: (await read("input_ids"))! }
      : { pixel_values: toFloat32(await file.read("pixel_values")).slice() };
  const labels = await readLabels(file, path, shape[0]!, head);
  const columns = file.tensors.get("labels")?.shape[1];
  const labelLength = columns === shape[1] ? undefined : columns;
  return {
    batch: shape[0]!,
    length: shape[1]!,
    labelLength,
    ...main,
    ...(labels === undefined ? {} : { labels }),
    ...optional,
  };
}

/** Labels of rows, of tokens, or of the classes of rows. Throws `DATA-BATCH` for those of another number of rows or another type than the head takes. */
async function readLabels(
  file: SafetensorsFile,
  path: string,
  rows: number,
  head: ModelHead,
): Promise<StreamBatch["labels"] | undefined> {
  const info = file.tensors.get("labels");
  if (info === undefined) return undefined;
  if (info.shape.length > 2 || info.shape[0] !== rows)
    throw new WebpeftError("DATA-BATCH", {
      message: "labels has another shape than input_ids",
      where: path,
      expected: `[${rows}] or [${rows}, ...]`,
      got: `[${info.shape.join(", ")}]`,
    });
  const tensor = await file.read("labels");
  const isWhole = info.dtype.startsWith("I");
  if (isWhole !== (head.labels === undefined) && head.labels !== "numbers" && head.kind !== "none")
    throw new WebpeftError("DATA-BATCH", {
      message: "labels are of another type than the head of the model takes",
      where: path,
      expected: takenLabels(head, "batch", "length"),
      got: `${info.dtype} [${info.shape.join(", ")}]`,
    });
  return isWhole ? Int32Array.from(toInt32(tensor, "labels")) : toFloat32(tensor).slice();
}

async function readyBatch(path: string, { head, task }: DatasetOptions): Promise<BatchStream> {
  const { batch, length, labelLength, ...read } = await readBatch(path, head);
  const tensors = task === undefined ? read : { task_ids: new Int32Array(batch).fill(task), ...read };
  if (!isLabelled(read))
    throw new WebpeftError("DATA-BATCH", {
      message: "a batch to train on needs labels",
      where: path,
      expected: takenLabels(head, "batch", "length"),
    });
  return { ...oneBatchStream(batch, length, tensors), labelLength };
}

const countSeen = (mask: ArrayLike<number>): number => Array.prototype.filter.call(mask, (seen) => seen !== 0).length;

/** The same batch at every step. */
export function oneBatchStream(batch: number, length: number, tensors: Omit<StreamBatch, "tokens">): BatchStream {
  const { input_ids, attention_mask } = tensors;
  const tokens = attention_mask === undefined ? (input_ids?.length ?? batch) : countSeen(attention_mask);
  return {
    batch,
    length,
    mask: attention_mask !== undefined,
    step: () => [{ ...tensors, tokens }],
  };
}
