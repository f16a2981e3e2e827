/** Small tokenizers of every kind as files of a model folder, and models that say what they are told to. */

import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadModel, loadTokenizer, type Model, type TextTokenizer } from "../../src/index.ts";
import { hostTensor } from "../../src/runtime/files/tensor.ts";
import { golden, temporaryFolder } from "../files/helpers.ts";

export type Files = Readonly<Record<string, string>>;
type Json = Readonly<Record<string, unknown>>;

export const load = (files: Files, folder = "folder"): Promise<TextTokenizer> =>
  loadTokenizer(async (name) => files[name], folder);

const special = (content: string, id: number) => ({
  ...{ id, content, special: true, normalized: false },
  ...{ single_word: false, lstrip: false, rstrip: false },
});

/** The letters that byte-level tokenizers write bytes as. */
const letterOf = ((): ReadonlyMap<number, string> => {
  const shown = (b: number) => (b > 32 && b < 127) || (b > 160 && b < 173) || b > 173;
  const bytes = [...Array(256).keys()];
  const hidden = bytes.filter((b) => !shown(b));
  return new Map(bytes.map((b) => [b, String.fromCodePoint(shown(b) ? b : 256 + hidden.indexOf(b))]));
})();

export interface ByteTokenizer {
  readonly files: Files;
  /** The id of every byte (by its number) and special token. */
  readonly ids: ReadonlyMap<number | string, number>;
}

/** One token a byte of `alphabet`, then the special ones, then merges of letters as byte-level tokenizers write them. */
export function byteTokenizer(
  alphabet: string,
  specials: readonly string[] = ["<end>"],
  config: Json = {},
  more: { readonly post?: Json; readonly merges?: readonly string[] } = {},
): ByteTokenizer {
  const bytes = [...new Set(new TextEncoder().encode(alphabet))].sort((a, b) => a - b);
  const ids = new Map<number | string, number>([...bytes, ...specials].map((token, id) => [token, id]));
  const { merges = [], post = null } = more;
  const words = merges.map((merge) => merge.replace(" ", ""));
  const vocab = [...bytes.map((b) => letterOf.get(b)!), ...specials, ...words].map((token, id) => [token, id]);
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    added_tokens: specials.map((token) => special(token, ids.get(token)!)),
    ...{ normalizer: null, pre_tokenizer: level, post_processor: post, decoder: level },
    model: { type: "BPE", vocab: Object.fromEntries(vocab), merges, unk_token: null, fuse_unk: false },
  };
  const named = { bos_token: null, eos_token: specials[0], clean_up_tokenization_spaces: false, ...config };
  return {
    ids,
    files: { "tokenizer.json": JSON.stringify(tokenizer), "tokenizer_config.json": JSON.stringify(named) },
  };
}

/** A post-processor that puts one token in front and another behind. */
export function around(front: string | undefined, back?: string): Json {
  const token = (id: string | undefined) => (id === undefined ? [] : [{ SpecialToken: { id, type_id: 0 } }]);
  const single = [...token(front), { Sequence: { id: "A", type_id: 0 } }, ...token(back)];
  const tokens = [front, back].flatMap((id) => (id === undefined ? [] : [[id, { id, ids: [], tokens: [id] }]]));
  return { type: "TemplateProcessing", single, pair: single, special_tokens: Object.fromEntries(tokens) };
}

/** As SentencePiece's: `normalizer` puts the blank in front of every piece (Llama 2), `metaspace` in front of the first one. */
export function spmTokenizer(form: "normalizer" | "metaspace", template: string): Files {
  const words = ["▁yes", "▁hi", "▁no", "yes", "hi"];
  const bytes = [...Array(256).keys()].map((b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = new Set(["<unk>", "<s>", "</s>", ...bytes, "▁", ..."abcdefghijklmnopqrstuvwxyz[]/:.?!INST"]);
  const merges = words.flatMap((word) => [...word].slice(1).map((letter, i) => `${word.slice(0, i + 1)} ${letter}`));
  for (const merge of merges) tokens.add(merge.replace(" ", ""));
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const normalizer = { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, replace] };
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
  const back = { type: "Replace", pattern: { String: "▁" }, content: " " };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  const tokenizer = {
    added_tokens: ["<unk>", "<s>", "</s>"].map(special),
    normalizer: form === "normalizer" ? normalizer : null,
    pre_tokenizer: form === "metaspace" ? metaspace : null,
    post_processor: null,
    decoder: { type: "Sequence", decoders: [back, { type: "ByteFallback" }, { type: "Fuse" }, strip] },
    model: {
      ...{ type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, merges },
      vocab: Object.fromEntries([...tokens].map((token, id) => [token, id])),
    },
  };
  const config = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", chat_template: template };
  return { "tokenizer.json": JSON.stringify(tokenizer), "tokenizer_config.json": JSON.stringify(config) };
}

/** As Unigram models with Metaspace are; its decoded text is cleaned of blanks where the config says so. */
export function unigramTokenizer(config: Json = {}): Files {
  const letters = [..."abcdefghijklmnopqrstuvwxyz?!.,'"].map((letter) => [letter, -4]);
  const vocab = [["<unk>", 0], ["</s>", 0], ["▁", -2], ["▁yes", -3], ["▁hi", -3], ["yes", -5], ...letters];
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  const tokenizer = {
    added_tokens: ["<unk>", "</s>"].map(special),
    ...{ normalizer: null, pre_tokenizer: metaspace, post_processor: null, decoder: metaspace },
    model: { type: "Unigram", unk_id: 0, vocab },
  };
  const named = { eos_token: "</s>", ...config };
  return { "tokenizer.json": JSON.stringify(tokenizer), "tokenizer_config.json": JSON.stringify(named) };
}

/** The texts of some ids as the vocabulary has them. */
export function tokenTexts(files: Files, ids: readonly number[]): string {
  const { model, added_tokens } = JSON.parse(files["tokenizer.json"]!);
  const texts = new Map<number, string>(Object.entries(model.vocab).map(([text, id]) => [id as number, text]));
  for (const { id, content } of added_tokens) texts.set(id, content);
  return ids.map((id) => texts.get(id) ?? `(${id})`).join(" ");
}

/** A llama whose next token is `follow.get(last)`, else `end`: layers add nothing, embeddings are one-hot. */
function chainFiles(
  follow: ReadonlyMap<number, number>,
  vocabulary: number,
  end: number,
  config: Json = {},
): { readonly config: Json; readonly weights: Record<string, ReturnType<typeof hostTensor>> } {
  const hidden = vocabulary + (vocabulary % 2);
  const [embed, head] = [new Float32Array(vocabulary * hidden), new Float32Array(vocabulary * hidden)];
  for (let token = 0; token < vocabulary; token++) {
    embed[token * hidden + token] = 1;
    head[(follow.get(token) ?? end) * hidden + token] = 1;
  }
  const zeros = (...shape: number[]) => hostTensor("F32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const ones = () => hostTensor("F32", [hidden], new Float32Array(hidden).fill(1));
  const layer = "model.layers.0";
  return {
    config: {
      ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", rms_norm_eps: 1e-5 },
      ...{ vocab_size: vocabulary, hidden_size: hidden, intermediate_size: 4, num_hidden_layers: 1, head_dim: 2 },
      ...{ num_attention_heads: 2, num_key_value_heads: 2, max_position_embeddings: 64, tie_word_embeddings: false },
      ...{ bos_token_id: null, eos_token_id: end, ...config },
    },
    weights: {
      "model.embed_tokens.weight": hostTensor("F32", [vocabulary, hidden], embed),
      "lm_head.weight": hostTensor("F32", [vocabulary, hidden], head),
      "model.norm.weight": ones(),
      [`${layer}.input_layernorm.weight`]: ones(),
      [`${layer}.post_attention_layernorm.weight`]: ones(),
      ...Object.fromEntries(["q", "k", "v"].map((x) => [`${layer}.self_attn.${x}_proj.weight`, zeros(4, hidden)])),
      [`${layer}.self_attn.o_proj.weight`]: zeros(hidden, 4),
      [`${layer}.mlp.gate_proj.weight`]: zeros(4, hidden),
      [`${layer}.mlp.up_proj.weight`]: zeros(4, hidden),
      [`${layer}.mlp.down_proj.weight`]: zeros(hidden, 4),
    },
  };
}

/** A model that writes `text` and then ends, with its tokenizer. No byte stands in the text twice. */
export async function chainModel(
  { ids, files }: ByteTokenizer,
  text: string,
  config: Json = {},
): Promise<{ readonly model: Model; readonly tokenizer: TextTokenizer }> {
  const bytes = new TextEncoder().encode(text);
  const follow = new Map([...bytes.slice(1)].map((byte, i) => [ids.get(bytes[i]!)!, ids.get(byte)!]));
  const made = chainFiles(follow, ids.size, ids.get("<end>")!, config);
  return { model: await loadModel({ config: made.config, weights: made.weights }), tokenizer: await load(files) };
}

/** The folder of a golden base model, with a tokenizer for some letters. */
export function goldenWithText(base: string, letters: string): string {
  const folder = temporaryFolder();
  cpSync(join(golden, "bases", base), folder, { recursive: true });
  for (const [name, text] of Object.entries(byteTokenizer(letters).files)) writeFileSync(join(folder, name), text);
  return folder;
}
