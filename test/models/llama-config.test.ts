import { describe, expect, it } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { buildModel, type ModelConfig } from "../../src/models/index.ts";
import { options, small } from "./small.ts";

describe("sites and modules", () => {
  it("lists the modules in the order of transformers", () => {
    const { modules } = buildModel(
      { ...small, model_type: "qwen2", num_hidden_layers: 1, tie_word_embeddings: true },
      options(),
    );
    expect(modules.map((m) => m.path)).toEqual([
      "model",
      "model.embed_tokens",
      "model.layers",
      "model.layers.0",
      "model.layers.0.self_attn",
      "model.layers.0.self_attn.q_proj",
      "model.layers.0.self_attn.k_proj",
      "model.layers.0.self_attn.v_proj",
      "model.layers.0.self_attn.o_proj",
      "model.layers.0.mlp",
      "model.layers.0.mlp.gate_proj",
      "model.layers.0.mlp.up_proj",
      "model.layers.0.mlp.down_proj",
      "model.layers.0.mlp.act_fn",
      "model.layers.0.input_layernorm",
      "model.layers.0.post_attention_layernorm",
      "model.norm",
      "model.rotary_emb",
      "lm_head",
    ]);
    const byPath = new Map(modules.map((m) => [m.path, m]));
    expect(byPath.get("lm_head")).toEqual({
      path: "lm_head",
      kind: "linear",
      weight: "model.embed_tokens.weight",
      in: 12,
      out: 19,
      layout: "linear",
    });
    expect(byPath.get("model.layers.0.self_attn.k_proj")).toMatchObject({
      bias: "model.layers.0.self_attn.k_proj.bias",
      in: 12,
      out: 8,
    });
    expect(byPath.get("model.layers.0.self_attn.o_proj")!.bias).toBeUndefined();
  });

  it("makes exactly one site per linear, embedding and norm module, and two per attention, in scope", () => {
    const { graph, modules } = buildModel({ ...small, model_type: "llama" }, options());
    const sites = graph.nodes.filter((n) => n.op.startsWith("site."));
    const named = modules.filter((m) => ["linear", "embedding", "norm"].includes(m.kind)).map((m) => m.path);
    const attentions = modules.filter((m) => m.kind === "attention").flatMap(({ path }) => [path, path]);
    expect(sites.map((n) => n.attributes.path).sort()).toEqual([...named, ...attentions].sort());
    for (const site of sites) expect(site.scope).toBe(site.attributes.path);
    expect(graph.nodes.filter((n) => n.scope === undefined).map((n) => n.attributes.name)).toEqual([
      "input_ids",
      "attention_mask",
    ]);
  });
});

describe("configs that cannot be honoured", () => {
  const refusals: readonly (readonly [string, ModelConfig, string, RegExp])[] = [
    ["an unknown type", { model_type: "mamba" }, "MODEL-TYPE", /llama, mistral, qwen2/],
    ["no type", { model_type: undefined }, "MODEL-TYPE", /llama/],
    ["another head", { architectures: ["LlamaForMultipleChoice"] }, "MODEL-ARCHITECTURE", /ForCausalLM/],
    ["a quantised model", { quantization_config: { bits: 4 } }, "MODEL-QUANTIZED", /bf16/],
    ["no hidden size", { hidden_size: undefined }, "MODEL-FIELD", /positive integer/],
    ["a text for a number", { num_hidden_layers: "2" }, "MODEL-FIELD", /positive integer/],
    ["a number for a flag", { tie_word_embeddings: 1 }, "MODEL-FIELD", /true or false/],
    ["a bad epsilon", { rms_norm_eps: 0 }, "MODEL-FIELD", /positive number/],
    ["heads that do not share out", { num_key_value_heads: 4 }, "MODEL-HEADS", /divisor/],
    ["an odd head", { head_dim: 3 }, "MODEL-HEADS", /even/],
    ["a hidden size that heads do not divide", { head_dim: null, hidden_size: 13 }, "MODEL-HEADS", /even/],
    ["an unknown activation", { hidden_act: "toString" }, "MODEL-ACTIVATION", /silu/],
    ["an unknown scaling", { rope_scaling: { rope_type: "ntk", factor: 4 } }, "MODEL-ROPE", /llama3/],
    ["a scaling with a name of objects", { rope_scaling: { type: "toString", factor: 4 } }, "MODEL-ROPE", /linear/],
    [
      "dynamic scaling beyond the trained length",
      { rope_scaling: { type: "dynamic", factor: 4 }, max_position_embeddings: 6 },
      "MODEL-LENGTH",
      /6 tokens/,
    ],
    [
      "divisors of another width",
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1, 2] } },
      "MODEL-ROPE",
      /longrope/,
    ],
    ["no divisors", { rope_scaling: { type: "longrope", short_factor: 1, long_factor: 1 } }, "MODEL-FIELD", /a list/],
    ["scaling without a factor", { rope_scaling: { type: "linear" } }, "MODEL-FIELD", /positive number/],
    [
      "half rotary heads",
      { rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } },
      "MODEL-ROPE",
      /whole head/,
    ],
    ["ropes per layer type", { rope_parameters: { full_attention: { rope_theta: 1e4 } } }, "MODEL-ROPE", /whole head/],
    ["rope settings that are no object", { rope_scaling: "linear" }, "MODEL-FIELD", /an object/],
    [
      "layer types that do not fit",
      { model_type: "qwen2", use_sliding_window: true, layer_types: ["full_attention"] },
      "MODEL-FIELD",
      /2 entries/,
    ],
  ];

  it.each(refusals)("%s", (_name, config, code, expected) => {
    try {
      buildModel({ ...small, model_type: "llama", ...config }, options());
    } catch (error) {
      expect(error).toMatchObject({ name: "WebpeftError", code, expected: expect.stringMatching(expected) });
      expect((error as { where: string }).where).toMatch(/config\.json/);
      return;
    }
    expect.unreachable("the config was taken");
  });

  it("warns of dropout in attention and of long sequences", () => {
    const sink = new DiagnosticSink();
    buildModel(
      { ...small, model_type: "llama", attention_dropout: 0.1, max_position_embeddings: 4 },
      options({ sink }),
    );
    expect(sink.diagnostics.map((d) => d.code).sort()).toEqual(["MODEL-DROPOUT", "MODEL-LENGTH"]);
    const strict = new DiagnosticSink(true);
    expect(() =>
      buildModel({ ...small, model_type: "llama", attention_dropout: 0.1 }, options({ sink: strict })),
    ).toThrow();
  });
});
