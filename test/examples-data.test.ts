import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";

const examples = new URL("../examples/", import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, examples), "utf8");
const json = (path: string) => JSON.parse(text(path));

const config = json("tiny-llama/config.json");
const reference = json("tiny-llama/reference.json");
const tokenizer = new Tokenizer(json("tiny-llama/tokenizer.json"), json("tiny-llama/tokenizer_config.json"));
const encode = (value: string): number[] => tokenizer.encode(value, { add_special_tokens: false }).ids;
const files = ["kjv-heldout", "austen-train", "austen-heldout"];

/** Name, dtype, shape and byte range of every tensor, from the JSON header; and the number of data bytes. */
function readHeader(path: string) {
  const bytes = readFileSync(new URL(path, examples));
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...tensors } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return { metadata, tensors, data: bytes.subarray(8 + length) };
}

describe("the example texts", () => {
  it("are plain ASCII and less than a megabyte together", () => {
    const all = files.map((name) => text(`data/${name}.txt`)).join("");
    expect(all.length).toBeLessThan(1e6);
    expect(/^[\n\x20-\x7e]*$/.test(all)).toBe(true);
  });

  it("share no paragraph of more than a short sentence between training and held-out part", () => {
    const paragraphs = (name: string) => new Set(text(`data/${name}.txt`).split("\n"));
    const [train, heldOut] = [paragraphs("austen-train"), paragraphs("austen-heldout")];
    expect(train.size).toBeGreaterThan(500);
    expect(heldOut.size).toBeGreaterThan(50);
    expect([...heldOut].filter((paragraph) => paragraph.length > 40 && train.has(paragraph))).toEqual([]);
  });
});

describe("the example tokenizer", () => {
  it.each(files)("encodes and decodes %s without loss", (name) => {
    const original = text(`data/${name}.txt`);
    const ids = encode(original);
    expect(tokenizer.decode(ids, { clean_up_tokenization_spaces: false })).toBe(original);
    expect(Math.max(...ids)).toBeLessThan(config.vocab_size);
    expect(original.length / ids.length).toBeGreaterThan(2.5);
  });

  it("represents any text, in bytes where it has no token", () => {
    const foreign = "Zwölf Boxkämpfer — 東京 \t\u{1f600}\r\n";
    expect(tokenizer.decode(encode(foreign), { clean_up_tokenization_spaces: false })).toBe(foreign);
  });

  it("gives the ids that Hugging Face's own tokenizer gave", () => {
    for (const entry of [reference.base_heldout, reference.new_heldout]) {
      const ids = encode(text(`tiny-llama/${entry.file}`));
      expect(ids.length).toBe(entry.tokens);
      expect(ids.slice(0, entry.first_ids.length)).toEqual(entry.first_ids);
    }
  });

  it("has one special token, which ends a text", () => {
    expect(tokenizer.token_to_id("<|endoftext|>")).toBe(config.eos_token_id);
    expect(encode("amen<|endoftext|>").at(-1)).toBe(config.eos_token_id);
  });
});

describe("the example model", () => {
  const { metadata, tensors, data } = readHeader("tiny-llama/model.safetensors");

  it("has the tensors that its config asks for, bf16, back to back", () => {
    const { vocab_size: vocab, hidden_size: d, intermediate_size: ff, num_key_value_heads, head_dim } = config;
    const kv = num_key_value_heads * head_dim;
    const expected: Record<string, number[]> = {
      "model.embed_tokens.weight": [vocab, d],
      "model.norm.weight": [d],
      "lm_head.weight": [vocab, d],
    };
    const perLayer = {
      "input_layernorm.weight": [d],
      "post_attention_layernorm.weight": [d],
      "self_attn.q_proj.weight": [d, d],
      "self_attn.k_proj.weight": [kv, d],
      "self_attn.v_proj.weight": [kv, d],
      "self_attn.o_proj.weight": [d, d],
      "mlp.gate_proj.weight": [ff, d],
      "mlp.up_proj.weight": [ff, d],
      "mlp.down_proj.weight": [d, ff],
    };
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      for (const [name, shape] of Object.entries(perLayer)) expected[`model.layers.${layer}.${name}`] = shape;
    }
    const shapes = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, (tensor as Entry).shape]));
    expect(shapes).toEqual(expected);
    expect(metadata).toEqual({ format: "pt" });

    let end = 0;
    const entries = (Object.values(tensors) as Entry[]).sort((a, b) => a.data_offsets[0] - b.data_offsets[0]);
    for (const { dtype, shape, data_offsets } of entries) {
      expect(dtype).toBe("BF16");
      expect(data_offsets).toEqual([end, end + 2 * shape.reduce((product, size) => product * size, 1)]);
      end = data_offsets[1];
    }
    expect(end).toBe(data.length);
  });

  it("holds finite numbers only", () => {
    const words = new Uint16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
    expect(words.every((word) => (word & 0x7f80) !== 0x7f80)).toBe(true);
  });

  it("is a llama with grouped queries and a head of its own", () => {
    expect(config).toMatchObject({ model_type: "llama", architectures: ["LlamaForCausalLM"], hidden_act: "silu" });
    expect(config.num_attention_heads).toBeGreaterThan(config.num_key_value_heads);
    expect(config.head_dim * config.num_attention_heads).toBe(config.hidden_size);
    expect(config.tie_word_embeddings).toBe(false);
    expect(json("tiny-llama/generation_config.json").eos_token_id).toBe(config.eos_token_id);
  });

  it("beat the trigram model on its own text when it was measured, and has room to learn the new one", () => {
    for (const part of ["first", "all"]) {
      const own = reference.base_heldout[part];
      expect(own.predicted_tokens).toBe(own.windows * (reference.window - 1));
      expect(own.loss).toBeLessThan(own.trigram_loss);
      expect(reference.new_heldout[part].loss).toBeGreaterThan(own.loss + 1);
    }
  });
});

describe("the example configs", () => {
  it.each(["oft", "lora", "dora", "ia3", "boft", "vera", "fourierft"])("%s names modules of the model", (name) => {
    const adapter = json(`configs/${name}.json`);
    const { tensors } = readHeader("tiny-llama/model.safetensors");
    for (const target of adapter.target_modules) {
      expect(Object.keys(tensors).some((key) => key.endsWith(`.${target}.weight`))).toBe(true);
    }
    expect(adapter).toMatchObject({ task_type: "CAUSAL_LM", base_model_name_or_path: "examples/tiny-llama" });
  });
});

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
