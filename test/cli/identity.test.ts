/** What a run stands on: files of the model that make tokens of text count as far as they were read. */
import { expect, it } from "vitest";
import { digestedModel } from "../../src/cli/weight-digest.ts";
import { loadTokenizer } from "../../src/runtime/data/tokenizer.ts";
import { readText, recordTree } from "../../src/runtime/files/folder.ts";
import { tinyLlama } from "../fuzz/helpers.ts";

const tokenizer = {
  model: { type: "WordLevel", vocab: { hello: 0, "[UNK]": 1 }, unk_token: "[UNK]" },
  pre_tokenizer: { type: "Whitespace" },
  ...{ normalizer: null, post_processor: null, decoder: null, added_tokens: [], version: "1.0" },
};
const files = {
  "tokenizer.json": JSON.stringify(tokenizer),
  "tokenizer_config.json": JSON.stringify({ chat_template: "{{ messages }}" }),
};

async function identity(record: Readonly<Record<string, string>>, text: boolean): Promise<string> {
  const digested = digestedModel({ ...(await tinyLlama()), tree: recordTree(record) });
  if (text) await loadTokenizer((name) => readText(digested.model.tree!, name), "model");
  return digested.files();
}

it.each<[string, Record<string, string>]>([
  ["the vocabulary", { "tokenizer.json": files["tokenizer.json"].replace('"hello":0', '"hallo":0') }],
  [
    "added tokens",
    {
      "tokenizer.json": files["tokenizer.json"].replace(
        '"added_tokens":[]',
        '"added_tokens":[{"id":2,"content":"<x>"}]',
      ),
    },
  ],
  [
    "the normalizer",
    { "tokenizer.json": files["tokenizer.json"].replace('"normalizer":null', '"normalizer":{"type":"Lowercase"}') },
  ],
  ["the template", { "tokenizer_config.json": JSON.stringify({ chat_template: "{{ messages[0] }}" }) }],
])("another run by %s", async (_what, changed) => {
  expect(await identity({ ...files, ...changed }, true)).not.toBe(await identity(files, true));
});

it("the same run where nothing is changed, where other files are, and where no text is read", async () => {
  expect(await identity(files, true)).toBe(await identity({ ...files, "README.md": "new" }, true));
  expect(await identity(files, false)).toBe(await identity({ ...files, "tokenizer.json": "{}" }, false));
});
