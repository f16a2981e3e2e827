/** Steps of tokenizers against the pieces of Hugging Face's tokenizers 0.22. */
import { describe, expect, it } from "vitest";
import { byteTokenizer, type Files, load, tokenTexts } from "./tokenizers.ts";

const text = "a\ufeff b\u0085c \u00e91\u00bd\u0663\u0663 (x)), d_e--f!";
const alphabet = `${text} bκαλοςσab`;

const having = (files: Files, change: (json: ReturnType<typeof JSON.parse>) => object): Files => {
  const json = JSON.parse(files["tokenizer.json"]!);
  return { ...files, "tokenizer.json": JSON.stringify({ ...json, ...change(json) }) };
};
const { files: bytes } = byteTokenizer(alphabet);
const asBytes = (prefix: boolean) => ({ type: "ByteLevel", add_prefix_space: prefix, use_regex: false });

const pieces: readonly (readonly [object, string])[] = [
  [{ type: "Whitespace" }, "a|\ufeff|b|c|\u00e91|\u00bd|\u0663\u0663|(|x|)),|d_e|--|f|!"],
  [{ type: "WhitespaceSplit" }, "a\ufeff|b|c|\u00e91\u00bd\u0663\u0663|(x)),|d_e--f!"],
  [{ type: "BertPreTokenizer" }, "a\ufeff|b|c|\u00e91\u00bd\u0663\u0663|(|x|)|)|,|d|_|e|-|-|f|!"],
  [{ type: "Digits", individual_digits: false }, "a\ufeff b\u0085c \u00e9|1\u00bd\u0663\u0663| (x)), d_e--f!"],
  [{ type: "Digits", individual_digits: true }, "a\ufeff b\u0085c \u00e9|1|\u00bd|\u0663|\u0663| (x)), d_e--f!"],
  ...(
    [
      ["Isolated", "|(|x|)|)|,| d|_|e|-|-|f|!"],
      ["Contiguous", "|(|x|)),| d|_|e|--|f|!"],
      ["Removed", "|x| d|e|f"],
      ["MergedWithPrevious", "(|x)|)|,| d_|e-|-|f!"],
      ["MergedWithNext", "|(x|)|)|, d|_e|-|-f|!"],
    ] as const
  ).map(
    ([behavior, rest]) =>
      [{ type: "Punctuation", behavior }, `a\ufeff b\u0085c \u00e91\u00bd\u0663\u0663 ${rest}`] as const,
  ),
];

describe("steps of a tokenizer", () => {
  it.each(pieces)("%j cuts as the reference does", async (step, wanted) => {
    // Every piece gets a blank in front, unless it has one.
    const pre_tokenizer = { type: "Sequence", pretokenizers: [step, asBytes(true)] };
    const cut = having(bytes, () => ({ pre_tokenizer }));
    const plain = await load(having(bytes, () => ({ pre_tokenizer: asBytes(false) })));
    const parts = wanted.split("|").map((piece) => (piece.startsWith(" ") ? piece : ` ${piece}`));
    const { encode } = await load(cut);
    expect(tokenTexts(cut, encode(text))).toBe(tokenTexts(cut, plain.encode(parts.join(""))));
  });

  it("bytes have a mark of the byte order among other marks", async () => {
    const { files } = byteTokenizer(alphabet, undefined, undefined, { merges: ["Ġ ï"] });
    expect(tokenTexts(files, (await load(files)).encode("a \ufeffb"))).toBe("a Ġï » ¿ b");
  });

  it.each([{ type: "Lowercase" }, { type: "BertNormalizer", lowercase: true }])(
    "%j has one sigma",
    async (normalizer) => {
      const lower = await load(having(bytes, () => ({ normalizer })));
      expect(lower.encode("ΚΑΛΟΣ Σ")).toEqual((await load(bytes)).encode("καλοσ σ"));
      expect(lower.encode("καλος")).toEqual((await load(bytes)).encode("καλος"));
    },
  );

  it.each([true, false])("added tokens that are words are no part of others (normalized: %s)", async (normalized) => {
    const files = having(bytes, ({ added_tokens }) => ({
      normalizer: { type: "Lowercase" },
      added_tokens: [...added_tokens, { id: 99, content: "ab", special: false, single_word: true, normalized }],
    }));
    const found = tokenTexts(files, (await load(files)).encode("ab abc cab x_ab ab, ab"));
    expect(found).toBe("ab Ġ a b c Ġ c a b Ġ x _ a b Ġ ab , Ġ ab");
  });
});
