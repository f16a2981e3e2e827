/** Words as texts of their own, and the tokens that hold a part of a text, by tokenizers of every kind. */
import { describe, expect, it } from "vitest";
import { byteTokenizer, type Files, load, spmTokenizer, tokenTexts, unigramTokenizer } from "./tokenizers.ts";

const changed = (files: Files, change: (json: ReturnType<typeof JSON.parse>) => void): Files => {
  const json = JSON.parse(files["tokenizer.json"]!);
  change(json);
  return { ...files, "tokenizer.json": JSON.stringify(json) };
};

const { files: bytes } = byteTokenizer("the hat.犬é");
const prefixed = changed(bytes, ({ pre_tokenizer }) => {
  pre_tokenizer.add_prefix_space = true;
});
/** Letters of syllables, as BERT's take them apart. */
const pieces = changed(bytes, (json) => {
  const letters = [..."한".normalize("NFD"), "b", "c"].flatMap((letter) => [letter, `##${letter}`]);
  json.normalizer = { type: "BertNormalizer", clean_text: true, lowercase: true, strip_accents: null };
  json.pre_tokenizer = { type: "BertPreTokenizer" };
  const vocab = Object.fromEntries(["[UNK]", ...letters].map((token, id) => [token, id]));
  json.added_tokens = [];
  json.model = { type: "WordPiece", vocab, unk_token: "[UNK]", continuing_subword_prefix: "##" };
});
const unigram = changed(unigramTokenizer(), ({ model }) => model.vocab.push(["犬", -6]));
const llama = spmTokenizer("normalizer", "");

describe("words", () => {
  const made: readonly (readonly [string, Files, string])[] = [
    ["bytes", bytes, "t h e|Ġ h a t"],
    ["bytes with a blank in front of texts", prefixed, "Ġ t h e|Ġ h a t"],
  ];
  it.each(made)("of %s are texts of their own", async (_name, files, wanted) => {
    const words = (await load(files)).encodeWords(["the", " hat"]);
    expect(words.map((ids) => tokenTexts(files, ids)).join("|")).toBe(wanted);
  });
});

describe("tokens that hold a part of a text", () => {
  // The context, where the part begins and ends, and the places of its first and its last token.
  const spans: readonly (readonly [string, Files, string, string, readonly [number, number]])[] = [
    ["bytes", bytes, "the 犬 hat", "犬", [4, 6]],
    ["bytes, at the start", bytes, "犬", "犬", [0, 2]],
    ["bytes behind a blank put in front", prefixed, "犬 hat", "犬", [1, 3]],
    ["bytes that begin in the token of a blank", merged("Ġ ç"), "the 犬", "犬", [3, 5]],
    ["bytes of which the first two are one token", merged("ç Ĭ"), "e 犬", "犬", [2, 3]],
    ["a blank that is a part of it", bytes, "he é", " é", [2, 4]],
    ["letters of a syllable", pieces, "b 한 c", "한", [1, 3]],
    ["a syllable inside of a word", pieces, "b한c", "한", [1, 3]],
    ["a syllable behind a blank that has no token", pieces, "b 한 c", " 한", [1, 3]],
    ["a lone mark of a blank at the start", unigram, "犬 yes", "犬", [1, 1]],
    ["a lone mark of a blank", unigram, "yes 犬", "犬", [2, 2]],
    ["a token with its mark", unigram, "hi yes", "yes", [1, 1]],
    ["bytes of a character that the vocabulary lacks", llama, "犬 hi", "犬", [1, 3]],
  ];
  it.each(spans)("%s", async (_name, files, context, answer, wanted) => {
    const from = context.indexOf(answer);
    const { ids, first, last } = (await load(files)).encodeSpan(context, from, from + answer.length);
    expect([first, last], tokenTexts(files, ids)).toEqual(wanted);
  });
});

function merged(merge: string): Files {
  return byteTokenizer("the hat.犬é", undefined, undefined, { merges: [merge] }).files;
}
