/**
 * The family llama, mistral, qwen2: embedding; per layer RMSNorm, grouped-query attention with rotary embedding, RMSNorm,
 * gated MLP, each half added to the residual stream; RMSNorm; head. Every place that an adapter may change is one `site.*` node.
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { activate } from "./activation.ts";
import { visibility, withOnes } from "./attention.ts";
import { finishModel } from "./head.ts";
import { type LlamaSettings, readLlamaConfig } from "./llama-config.ts";
import { embeddingPath, finalNormPath, headPath, layerPath, llamaModules } from "./llama-modules.ts";
import { type BuildOptions, type ModelFamily, type ModuleInfo, noVirtualTokens, tokenInput } from "./model.ts";
import { type RopeTables, ropeTables, rotate } from "./rope.ts";
import { SiteBuilder } from "./sites.ts";

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral", "qwen2"],
  layerFields: ["num_hidden_layers"],
  describe: (config, sink) => {
    const settings = readLlamaConfig(config, sink);
    return {
      modules: llamaModules(settings),
      inputs: [tokenInput(settings.vocabulary)],
      defaults: settings.defaults,
    };
  },
  build: (config, modules, options) =>
    new LlamaBuilder(readLlamaConfig(config, new DiagnosticSink()), modules, options).build(),
};

/** Puts one model into a graph; node ids of shared parts are made once. */
class LlamaBuilder {
  private readonly sites: SiteBuilder;
  /** Positions of the graph: virtual tokens, then the text. */
  private readonly positions: number;

  constructor(
    private readonly settings: LlamaSettings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder(settings.defaults.modelType, modules, options.weightTypes);
    this.positions = (options.virtual ?? noVirtualTokens).tokens + options.length;
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch, length, virtual: { tokens, keys } = noVirtualTokens } = options;
    const ids = builder.port("input_ids", "input", "i32", [batch, length]);
    const given = options.mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
    const mask = given === undefined ? undefined : withOnes(builder, given, tokens);
    const tables = sites.within("model.rotary_emb", () =>
      ropeTables(builder, this.positions, settings.headWidth, settings.rope, keys),
    );
    let stream = sites.prompt(embeddingPath, sites.embedding(embeddingPath, ids), tokens);
    settings.windows.forEach((window, layer) => {
      const seen = sites.within("model", () => visibility(builder, this.positions, mask, window, keys));
      stream = this.layer(layerPath(layer), stream, tables, seen);
    });
    const logits = sites.linear(headPath, this.norm(finalNormPath, stream));
    return finishModel(builder, settings.defaults.head, logits, options, tokens);
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "rms", this.settings.epsilon);
  }

  private layer(path: string, x: number, tables: RopeTables, seen: number): number {
    const add = (a: number, b: number): number => this.sites.within(path, (builder) => builder.plus(a, b));
    const attended = add(x, this.attention(`${path}.self_attn`, this.norm(`${path}.input_layernorm`, x), tables, seen));
    return add(attended, this.mlp(`${path}.mlp`, this.norm(`${path}.post_attention_layernorm`, attended)));
  }

  private attention(path: string, x: number, tables: RopeTables, seen: number): number {
    const { batch, virtual = noVirtualTokens } = this.options;
    const { heads, keyValueHeads, headWidth } = this.settings;
    const length = this.positions;
    const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((name) => this.sites.linear(`${path}.${name}`, x)) as [
      number,
      number,
      number,
    ];
    const context = this.sites.within(path, (builder) => {
      const grouped = builder.reshape(q, [batch, length, keyValueHeads, heads / keyValueHeads, headWidth]);
      const [keys, values] = [k, v].map((y) => builder.reshape(y, [batch, length, keyValueHeads, headWidth])) as [
        number,
        number,
      ];
      const attended = this.sites.attention(path, {
        queries: rotate(builder, grouped, tables),
        keys: rotate(builder, keys, tables),
        values,
        seen,
        scale: 1 / Math.sqrt(headWidth),
        keyLayer: this.sites.layer(`${path}.k_proj`),
        valueLayer: this.sites.layer(`${path}.v_proj`),
        before: virtual.keys,
      });
      return builder.reshape(attended, [batch, length, heads * headWidth]);
    });
    return this.sites.attended(path, this.sites.linear(`${path}.o_proj`, context));
  }

  private mlp(path: string, x: number): number {
    const [gate, up] = [this.sites.linear(`${path}.gate_proj`, x), this.sites.linear(`${path}.up_proj`, x)];
    const gated = this.sites.within(path, (builder) =>
      builder.mul(activate(builder, this.settings.activation, gate), up),
    );
    return this.sites.linear(`${path}.down_proj`, gated);
  }
}
