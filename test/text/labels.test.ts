/** Whole texts are tokenised, and what is learned is found in them. Tokens and labels are those that Hugging Face's offsets give. */
import { describe, expect, it } from "vitest";
import { jsonLinesExamples, textExamples } from "../../src/index.ts";
import { failure } from "../files/helpers.ts";
import { around, byteTokenizer, type Files, load, spmTokenizer, tokenTexts, unigramTokenizer } from "./tokenizers.ts";

const everyByte = `${String.fromCharCode(...Array(128).keys())}éÿ😀漢\u0301`;
const template =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]" +
  "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}";
const named = { bos_token: "<s>", chat_template: template };
const merges = ["Ġ y", "Ġy e", "Ġye s", "h i", "Ã ©"];
const bytes = byteTokenizer(everyByte, ["</s>", "<s>"], named, { merges });
const kinds: Readonly<Record<string, Files>> = {
  normalizer: spmTokenizer("normalizer", template),
  metaspace: spmTokenizer("metaspace", template),
  bytes: bytes.files,
  unigram: unigramTokenizer(),
};

/** The tokens of a line, those that are learned behind a bar. */
async function learned(files: Files, line: unknown): Promise<string> {
  const [example] = jsonLinesExamples(JSON.stringify(line), 1000, await load(files), "data.jsonl");
  const { ids, labels } = example!;
  const texts = ids.map((id) => tokenTexts(files, [id]));
  return texts.map((text, i) => (labels[i] === -100 ? text : `|${text}`)).join(" ");
}

describe("prompt and completion", () => {
  it.each([
    ["normalizer", "hi?", " yes", "▁hi ? |▁yes |</s>"],
    ["metaspace", "hi?", " yes", "▁hi ? |▁yes |</s>"],
    ["bytes", "hi?", " yes", "hi ? |Ġyes |</s>"],
    // A token of both belongs to the prompt, as where prompts are counted by their own tokens.
    ["normalizer", "hi? ", "yes", "▁hi ? ▁yes |</s>"],
    ["metaspace", "hi? y", "es", "▁hi ? ▁yes |</s>"],
    ["bytes", "hi? ", "yes", "hi ? Ġyes |</s>"],
    ["normalizer", "hi: ", " yes", "▁hi : ▁ |▁yes |</s>"],
    ["bytes", "hi: ", " yes", "hi : Ġ |Ġyes |</s>"],
    ["metaspace", "", "yes", "|▁yes |</s>"],
    ["metaspace", "hi", "", "▁hi |</s>"],
    ["normalizer", "é", "é yes", "▁ <0xC3> <0xA9> |<0xC3> |<0xA9> |▁yes |</s>"],
    ["bytes", "h", "é", "h |Ã© |</s>"],
    ["bytes", "h", "ÿ", "h |Ã |¿ |</s>"],
    // What ends already is not ended twice.
    ["bytes", "hi", " yes</s>", "hi |Ġyes |</s>"],
  ])("%s: %j, %j", async (kind, prompt, completion, expected) => {
    expect(await learned(kinds[kind]!, { prompt, completion })).toBe(expected);
  });

  it("cuts the vocabulary's own marks off before it compares", async () => {
    const ids = { "[UNK]": 0, yes: 1, y: 2, "##es": 3, "##e": 4, "##s": 5, hi: 6 };
    const model = { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", vocab: ids };
    const parts = { normalizer: null, pre_tokenizer: { type: "WhitespaceSplit" }, post_processor: null };
    const unknown = { id: 0, content: "[UNK]", special: true, normalized: false, single_word: false };
    const json = JSON.stringify({ added_tokens: [unknown], ...parts, decoder: null, model });
    const tokenizer = await load({ "tokenizer.json": json });
    expect(tokenizer.encodeCut("hi yes", [2, 3, 4, 5, 6])).toEqual({ ids: [6, 1], before: [1, 1, 2, 2, 2] });
    expect(tokenizer.encodeCut("ye hi", [1, 2])).toEqual({ ids: [2, 4, 6], before: [1, 2] });
    // What is unknown stands in the text under no name.
    expect(tokenizer.encodeCut("hi ☃ yes hi", [6, 8, 11])).toEqual({ ids: [6, 0, 1, 6], before: [3, 3, 4] });
  });
});

describe("a tokenizer that cannot be used", () => {
  const json = JSON.parse(bytes.files["tokenizer.json"]!);
  it.each([
    ["added tokens that are none", { ...json, added_tokens: [null, 3, "x"] }, undefined],
    ["a part of no known kind", { ...json, normalizer: { type: "Mystery" } }, "DATA-TOKENIZER"],
    ["no model", { ...json, model: null }, "DATA-TOKENIZER"],
    ["no word for a letter", { ...json, model: { type: "Unigram", vocab: [["b", 0]] } }, "DATA-TOKENIZER"],
  ])("%s", async (_name, tokenizer, code) => {
    const encode = async () => (await load({ "tokenizer.json": JSON.stringify(tokenizer) })).encode("a");
    if (code === undefined) expect(await encode()).toHaveLength(1);
    else expect(await failure(encode)).toMatchObject({ code, where: "folder/tokenizer.json" });
  });
});

describe("conversations", () => {
  const turns = (...contents: string[]) => ({
    messages: contents.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content })),
  });

  it("are learned where the assistant speaks, in every turn", async () => {
    const spm = await learned(kinds.normalizer!, turns("hi", "yes", "no", "hi"));
    expect(spm).toBe("<s> ▁ [ I N S T ] ▁hi ▁ [ / I N S T ] |▁yes |</s> ▁ [ I N S T ] ▁no ▁ [ / I N S T ] |▁hi |</s>");
    const metaspace = await learned(kinds.metaspace!, turns("hi", "yes", "no", "hi"));
    expect(metaspace.match(/\|\S+/g)).toEqual(["|▁yes", "|</s>", "|▁hi", "|</s>"]);
    expect((await learned(bytes.files, turns("hi", "yes"))).match(/\|\S+/g)).toEqual(["|Ġyes", "|</s>"]);
  });

  it("are tokenised with what follows the last answer", async () => {
    const line = await learned(kinds.normalizer!, turns("hi", " yes ", "no"));
    expect(line.match(/\|\S+/g)).toEqual(["|▁", "|▁yes", "|▁", "|</s>"]);
    expect(line).toMatch(/▁no ▁ \[ \/ I N S T \]$/);
  });

  it("have the special tokens of their template only", async () => {
    const { files } = byteTokenizer(everyByte, ["</s>", "<s>"], named, { post: around("<s>", "</s>") });
    const line = await learned(files, turns("a", "b"));
    expect(line).toMatch(/^<s> \[/);
    expect(line.match(/<s>|<\/s>/g)).toEqual(["<s>", "</s>"]);
  });
});

describe("what a tokenizer puts around a text", () => {
  const framed = (front: string | undefined, back?: string) =>
    byteTokenizer(everyByte, ["</s>", "<s>"], { bos_token: "<s>" }, { post: around(front, back) }).files;

  it("is there once, and is learned as the place says", async () => {
    const begun = framed("<s>");
    expect(await learned(begun, { text: "ab" })).toBe("|<s> |a |b |</s>");
    expect(await learned(begun, { text: "<s>ab" })).toBe("|<s> |a |b |</s>");
    expect(await learned(begun, { prompt: "a", completion: "b" })).toBe("<s> a |b |</s>");
    expect(await learned(framed("<s>", "</s>"), { text: "ab" })).toBe("|<s> |a |b |</s>");
    expect(await learned(framed(undefined, "<s>"), { text: "ab" })).toBe("|a |b |<s> |</s>");
    const sequence = { type: "Sequence", processors: [{ type: "ByteLevel" }, around("<s>")] };
    const { files } = byteTokenizer(everyByte, ["</s>", "<s>"], {}, { post: sequence });
    expect(await learned(files, { text: "ab" })).toBe("|<s> |a |b |</s>");
  });

  it("is put around a whole file of text", async () => {
    const files = framed("<s>", "</s>");
    const windows = textExamples("abcd", 3, await load(files)).map(({ ids }) => tokenTexts(files, ids));
    expect(windows).toEqual(["<s> a b", "c d </s>"]);
  });
});
