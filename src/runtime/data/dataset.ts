/** Data files as streams of batches. Every stream is a function of the step, so that a resumed run goes on as an uninterrupted one. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { openSafetensors } from "../files/safetensors.ts";
import { fileSource } from "../files/source.ts";
import { toInt32 } from "../tensor.ts";
import { type Batch, Batches, countLabels } from "./batches.ts";
import { countedLabels, type Example, jsonLinesExamples, textExamples, usableExamples } from "./examples.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/** A batch that may carry a mask. */
export interface StreamBatch extends Batch {
  readonly attention_mask?: Int32Array;
}

export interface BatchStream {
  readonly batch: number;
  readonly length: number;
  readonly mask: boolean;
  /** Absent for a ready batch, which has no epochs. */
  readonly stepsPerEpoch?: number;
  /** Labels that count and that do not, in all data. */
  readonly trainedTokens: number;
  readonly ignoredTokens: number;
  /** The micro-batches of a step, step 0 first. */
  step(step: number): StreamBatch[];
}

export interface DatasetOptions {
  readonly batch: number;
  readonly length: number;
  readonly accumulate: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly padToken: number;
  /** Asked for only when the data is text. */
  readonly tokenizer: () => Promise<TextTokenizer>;
}

/** Opens `.txt`, `.jsonl` or `.safetensors`. Throws `DATA-*` and `FILE-*`. */
export async function openDataset(path: string, options: DatasetOptions): Promise<BatchStream> {
  if (path.endsWith(".safetensors")) return readyBatch(path);
  if (!path.endsWith(".txt") && !path.endsWith(".jsonl")) {
    throw new WebpeftError("DATA-KIND", {
      message: "the data is of no known kind",
      where: path,
      expected: ".txt, .jsonl or .safetensors",
    });
  }
  const source = await fileSource(path);
  const text = new TextDecoder().decode(await source.read(0, source.size));
  const tokenizer = await options.tokenizer();
  const examples = path.endsWith(".txt")
    ? textExamples(text, options.length, tokenizer)
    : jsonLinesExamples(text, options.length, tokenizer, path);
  return exampleStream(usableExamples(examples, path), options);
}

function exampleStream(examples: readonly Example[], options: DatasetOptions): BatchStream {
  const batches = new Batches(examples, options);
  const trainedTokens = examples.reduce((sum, example) => sum + countedLabels(example), 0);
  const tokens = examples.reduce((sum, example) => sum + example.ids.length, 0);
  return {
    batch: options.batch,
    length: options.length,
    mask: false,
    stepsPerEpoch: batches.stepsPerEpoch,
    trainedTokens,
    ignoredTokens: tokens - trainedTokens,
    step: (step) => batches.step(step),
  };
}

/** The tensors of one batch, as token ids; `labels` and `attention_mask` may be absent. */
export async function readBatch(
  path: string,
): Promise<{ batch: number; length: number; input_ids: Int32Array; labels?: Int32Array; attention_mask?: Int32Array }> {
  const file = await openSafetensors(await fileSource(path));
  const shape = file.tensors.get("input_ids")?.shape;
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
    if (info.shape.join() !== shape.join()) {
      throw new WebpeftError("DATA-BATCH", {
        message: `${name} has another shape than input_ids`,
        where: path,
        expected: `[${shape.join(", ")}]`,
        got: `[${info.shape.join(", ")}]`,
      });
    }
    return Int32Array.from(toInt32(await file.read(name), name));
  };
  const [input_ids, labels, attention_mask] = [
    await read("input_ids"),
    await read("labels"),
    await read("attention_mask"),
  ];
  return {
    batch: shape[0]!,
    length: shape[1]!,
    input_ids: input_ids!,
    ...(labels === undefined ? {} : { labels }),
    ...(attention_mask === undefined ? {} : { attention_mask }),
  };
}

async function readyBatch(path: string): Promise<BatchStream> {
  const { batch, length, input_ids, labels, attention_mask } = await readBatch(path);
  if (labels === undefined)
    throw new WebpeftError("DATA-BATCH", {
      message: "a batch to train on needs labels",
      where: path,
      expected: "labels [batch, length]",
    });
  const stream = oneBatchStream(batch, length, { input_ids, labels, ...(attention_mask && { attention_mask }) });
  if (stream.trainedTokens > 0) return stream;
  throw new WebpeftError("DATA-LABELS-MASKED", {
    message: "no label of the data counts, so there is nothing to learn",
    where: path,
  });
}

/** The same batch at every step. */
export function oneBatchStream(
  batch: number,
  length: number,
  tensors: Pick<StreamBatch, "input_ids" | "labels" | "attention_mask">,
): BatchStream {
  const { input_ids, labels, attention_mask } = tensors;
  const counted = countLabels(labels, length);
  const tokens = attention_mask?.reduce((sum, m) => sum + (m === 0 ? 0 : 1), 0) ?? input_ids.length;
  return {
    batch,
    length,
    mask: attention_mask !== undefined,
    trainedTokens: counted,
    ignoredTokens: input_ids.length - counted,
    step: () => [{ ...tensors, counted, tokens }],
  };
}
