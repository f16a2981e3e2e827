/** The tokenizer and the chat template of an adapter's folder, for commands. */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import { describeModel } from "../models/index.ts";
import { type FileTree, pathIn, readText } from "../runtime/files/folder.ts";
import type { Model } from "../runtime/files/model.ts";
import { readTextFiles, tokenCount, withTextOf } from "../runtime/files/text-files.ts";
import { warn } from "./output.ts";

/** A model that reads and writes text as an adapter was trained to. */
export const withAdapterText = (model: Model, adapter: FileTree): Model => ({
  ...model,
  tree: withTextOf(model.tree, adapter)!,
});

/**
 * The names of the files that an adapter's folder has for text. A tokenizer with more tokens than the model has rows is a warning,
 * `DATA-TOKENIZER-SIZE`, and an error under `strict`.
 */
export async function adapterText(model: Model, adapter: FileTree, strict: boolean): Promise<string[]> {
  const names = [...(await readTextFiles(adapter)).keys()];
  const text = names.includes("tokenizer.json") ? await readText(adapter, "tokenizer.json") : undefined;
  const [count, { vocabulary }] = [
    text === undefined ? 0 : (tokenCount(text) ?? 0),
    describeModel(model.config).defaults,
  ];
  const sink = new DiagnosticSink(strict);
  if (count > vocabulary)
    sink.warn("DATA-TOKENIZER-SIZE", {
      message: "the adapter's tokenizer has tokens that the model has no rows for",
      where: pathIn(adapter, "tokenizer.json"),
      expected: `at most ${vocabulary} tokens`,
      got: String(count),
      help: "Use the base model with resized embeddings that the adapter was trained on.",
    });
  warn(sink.diagnostics);
  return names;
}
