/** The tokenizer and the chat template of an adapter's folder go before the base model's, and along with it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compile, loadModel, readAdapter } from "../../src/index.ts";
import { type FileRecord, type FileTree, readText, recordTree } from "../../src/runtime/files/folder.ts";
import { saveModel } from "../../src/runtime/files/save-model.ts";
import { tokenCount, withTextOf } from "../../src/runtime/files/text-files.ts";
import { golden, temporaryFolder } from "./helpers.ts";

const base: FileRecord = {
  "config.json": "{}",
  "tokenizer.json": "base",
  "vocab.json": "base",
  "tokenizer_config.json": '{"chat_template": "base"}',
  "special_tokens_map.json": "base",
  "chat_template.jinja": "base",
};

/** What each file of the two folders together says; undefined where there is none. */
async function texts(adapter: FileRecord, listed = true): Promise<Record<string, string | undefined>> {
  const over: FileTree = listed ? recordTree(adapter) : { ...recordTree(adapter), list: async () => undefined };
  const tree = withTextOf(recordTree(base), over)!;
  const found = await Promise.all(Object.keys(base).map(async (name) => [name, await readText(tree, name)] as const));
  if (listed)
    expect(await tree.list()).toEqual(found.flatMap(([name, text]) => (text === undefined ? [] : [name])).sort());
  return Object.fromEntries(found);
}

describe.each([true, false])("text files of an adapter, in a folder that can be listed: %s", (listed) => {
  it("come group by group", async () => {
    expect(await texts({ "config.json": "own", "adapter_config.json": "{}" }, listed)).toEqual(base);
    const template = await texts({ "chat_template.jinja": "own" }, listed);
    expect(template).toEqual({ ...base, "chat_template.jinja": "own" });
    const whole = { "tokenizer.json": "own", "tokenizer_config.json": '{"chat_template": "own"}' };
    expect(await texts(whole, listed)).toEqual({ "config.json": "{}", ...whole });
    const plain = { "tokenizer.json": "own", "tokenizer_config.json": "{}" };
    expect(await texts(plain, listed)).toEqual({ "config.json": "{}", ...plain, "chat_template.jinja": "base" });
  });
});

it("rows that a tokenizer needs", () => {
  const text = (json: object): number | undefined => tokenCount(JSON.stringify(json));
  expect(text({ model: { vocab: { a: 0, b: 4 } }, added_tokens: [{ id: 7 }] })).toBe(8);
  expect(
    text({
      model: {
        vocab: [
          ["a", -1],
          ["b", -2],
        ],
      },
    }),
  ).toBe(2);
  expect(text({ model: {} })).toBeUndefined();
});

it("goes along with merging and saving", async () => {
  const own = join(golden, "cases/llama-lora");
  const names = ["adapter_config.json", "adapter_model.safetensors"];
  const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(join(own, name)))]));
  const adapter = await readAdapter({ ...files, "tokenizer.json": "{}", "chat_template.jinja": "hi" });
  const program = await compile(await loadModel(join(golden, "bases/llama")), adapter, {
    batch: 1,
    length: 4,
    mode: "infer",
  });
  const session = await program.start({ device: "cpu", adapter });
  const folder = temporaryFolder();
  await saveModel(await session.merge(), join(folder, "merged"));
  await session.save(join(folder, "saved"));
  for (const out of ["merged", "saved"])
    expect(readFileSync(join(folder, out, "chat_template.jinja"), "utf8")).toBe("hi");
  expect([...(await session.files()).keys()]).toEqual([...names, "tokenizer.json", "chat_template.jinja"]);
});
