/**
 * The family llama, mistral, qwen2: embedding; per layer RMSNorm, grouped-query attention with rotary embedding, RMSNorm,
 * gated MLP, each half added to the residual stream; RMSNorm; head. Every place that an adapter may change is one `site.*` node.
 */
import { Builder } from "../ir/builder.ts";
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph, Output } from "../ir/graph.ts";
import { attend, visibility } from "./attention.ts";
import { type LlamaSettings, readLlamaConfig } from "./llama-config.ts";
import { embeddingPath, finalNormPath, headPath, layerPath, llamaModules } from "./llama-modules.ts";
import { causalLoss } from "./loss.ts";
import type { BuildOptions, ModelConfig, ModelFamily, ModuleInfo } from "./model.ts";
import { type RopeTables, ropeTables, rotate } from "./rope.ts";

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral", "qwen2"],
  describe: (config, sink) => {
    const settings = readLlamaConfig(config, sink);
    return { modules: llamaModules(settings), defaults: settings.defaults };
  },
  build: buildLlama,
};

function buildLlama(config: ModelConfig, options: BuildOptions, sink: DiagnosticSink): Graph {
  const settings = readLlamaConfig(config, sink);
  return new LlamaBuilder(settings, options).build();
}

/** Puts one model into a graph; node ids of shared parts are made once. */
class LlamaBuilder {
  private readonly builder: Builder;
  private readonly modules: ReadonlyMap<string, ModuleInfo>;

  constructor(
    private readonly settings: LlamaSettings,
    private readonly options: BuildOptions,
  ) {
    this.builder = new Builder(settings.defaults.modelType);
    this.modules = new Map(llamaModules(settings).map((module) => [module.path, module]));
  }

  build(): Graph {
    const { builder, settings, options } = this;
    const shape = [options.batch, options.length];
    const ids = builder.port("input_ids", "input", "i32", shape);
    const mask = options.mask ? builder.port("attention_mask", "input", "i32", shape) : undefined;
    const tables = builder.within({ scope: "model.rotary_emb" }, () =>
      ropeTables(builder, options.length, settings.headWidth, settings.rope),
    );
    let stream = this.embedding(embeddingPath, ids);
    settings.windows.forEach((window, layer) => {
      const seen = builder.within({ scope: "model" }, () => visibility(builder, options.length, mask, window));
      stream = this.layer(layerPath(layer), stream, tables, seen);
    });
    const logits = this.linear(headPath, this.norm(finalNormPath, stream));
    const outputs: Output[] = [{ name: "logits", node: logits }];
    if (options.labels) outputs.push({ name: "loss", node: this.loss(logits, shape) });
    return builder.finish(outputs);
  }

  private loss(logits: number, shape: readonly number[]): number {
    return this.builder.within({ scope: "loss" }, () => {
      const labels = this.builder.port("labels", "input", "i32", shape);
      const scale = this.builder.port("label_scale", "input", "f32", []);
      return causalLoss(this.builder, logits, labels, scale);
    });
  }

  /** The stored tensor, expanded to f32. */
  private weight(key: string, shape: readonly number[]): number {
    return this.builder.cast(this.builder.port(key, "weight", this.options.weightTypes(key), shape), "f32");
  }

  private embedding(path: string, ids: number): number {
    const { weight, in: rows, out: width } = this.modules.get(path)!;
    return this.builder.within({ scope: path }, () =>
      this.builder.add("site.embedding", [this.weight(weight!, [rows!, width!]), ids], { path }),
    );
  }

  private linear(path: string, x: number): number {
    const { weight, bias, in: width, out } = this.modules.get(path)!;
    return this.builder.within({ scope: path }, () => {
      const inputs = [x, this.weight(weight!, [out!, width!])];
      if (bias !== undefined) inputs.push(this.weight(bias, [out!]));
      return this.builder.add("site.linear", inputs, { path });
    });
  }

  private norm(path: string, x: number): number {
    const { weight, out } = this.modules.get(path)!;
    return this.builder.within({ scope: path }, () =>
      this.builder.add("site.norm", [x, this.weight(weight!, [out!])], {
        path,
        kind: "rms",
        epsilon: this.settings.epsilon,
      }),
    );
  }

  private layer(path: string, x: number, tables: RopeTables, seen: number): number {
    const add = (a: number, b: number): number => this.builder.within({ scope: path }, () => this.builder.plus(a, b));
    const attended = add(x, this.attention(`${path}.self_attn`, this.norm(`${path}.input_layernorm`, x), tables, seen));
    return add(attended, this.mlp(`${path}.mlp`, this.norm(`${path}.post_attention_layernorm`, attended)));
  }

  private attention(path: string, x: number, tables: RopeTables, seen: number): number {
    const { batch, length } = this.options;
    const { heads, keyValueHeads, headWidth } = this.settings;
    const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((name) => this.linear(`${path}.${name}`, x)) as [
      number,
      number,
      number,
    ];
    const context = this.builder.within({ scope: path }, () => {
      const grouped = this.builder.reshape(q, [batch, length, keyValueHeads, heads / keyValueHeads, headWidth]);
      const [keys, values] = [k, v].map((y) => this.builder.reshape(y, [batch, length, keyValueHeads, headWidth])) as [
        number,
        number,
      ];
      const queries = rotate(this.builder, grouped, tables);
      const attended = attend(this.builder, queries, rotate(this.builder, keys, tables), values, seen);
      return this.builder.reshape(attended, [batch, length, heads * headWidth]);
    });
    return this.linear(`${path}.o_proj`, context);
  }

  private mlp(path: string, x: number): number {
    const [gate, up] = [this.linear(`${path}.gate_proj`, x), this.linear(`${path}.up_proj`, x)];
    const gated = this.builder.within({ scope: path }, () => this.builder.mul(this.activate(gate), up));
    return this.linear(`${path}.down_proj`, gated);
  }

  private activate(x: number): number {
    const { builder } = this;
    if (this.settings.activation === "silu") return builder.mul(x, builder.add("sigmoid", [x]));
    // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    const cube = builder.mul(builder.mul(x, x), x);
    const inner = builder.scale(builder.plus(x, builder.scale(cube, 0.044715)), Math.sqrt(2 / Math.PI));
    const share = builder.plus(builder.add("tanh", [inner]), builder.constantLike(x, 1));
    return builder.mul(builder.scale(x, 0.5), share);
  }
}
