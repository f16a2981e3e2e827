/**
 * T5: an encoder over the input and a decoder over the labels, shifted right, that also attends to the encoder's result. RMSNorm before every
 * part; attention without scaling, with a bias by relative position that the first layer of a stack holds for all of them.
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { activate } from "./activation.ts";
import { attend, unpadded, visibility } from "./attention.ts";
import { finishModel } from "./head.ts";
import { ignoredLabel } from "./loss.ts";
import { type BuildOptions, type ModelFamily, type ModuleInfo, tokenInput } from "./model.ts";
import { relativeBuckets } from "./relative.ts";
import { SiteBuilder } from "./sites.ts";
import { blockPath, readT5Config, type StackName, type T5Settings, t5Modules } from "./t5-config.ts";

export const t5Family: ModelFamily = {
  modelTypes: ["t5"],
  layerFields: ["num_layers", "num_decoder_layers"],
  describe: (config, sink) => {
    const settings = readT5Config(config, sink);
    const { defaults } = settings;
    return { modules: t5Modules(settings), inputs: [tokenInput(defaults.vocabulary)], defaults };
  },
  /** The tables of both stacks, and the head unless it has one of its own, are one tensor of the file. */
  otherKeys: (key) => (/^(lm_head|(en|de)coder\.embed_tokens)\.weight$/.test(key) ? ["shared.weight"] : []),
  build: (config, modules, options) =>
    new T5Builder(readT5Config(config, new DiagnosticSink()), modules, options).build(),
};

/** What attention reads beside the queries' stream. */
interface Attended {
  /** Stream of keys and values; the queries' own unless given. */
  readonly memory?: number;
  readonly seen: number | undefined;
  readonly bias?: number;
}

class T5Builder {
  private readonly sites: SiteBuilder;

  constructor(
    private readonly settings: T5Settings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder("t5", modules, options.weightTypes);
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch, length } = options;
    const shape = [batch, length];
    const mask = options.mask ? builder.port("attention_mask", "input", "i32", shape) : undefined;
    const seen = mask === undefined ? undefined : sites.within("encoder", () => unpadded(builder, mask));
    const encoded = this.stack("encoder", builder.port("input_ids", "input", "i32", shape), seen, undefined);
    const labels = builder.port("labels", "input", "i32", shape);
    const causal = sites.within("decoder", () => visibility(builder, length, undefined, undefined));
    const targets = sites.within("decoder", () => this.shifted(labels));
    const decoded = this.stack("decoder", targets, causal, { memory: encoded, seen });
    const scaled = sites.within("decoder", () => builder.scale(decoded, settings.outputScale));
    const logits = sites.linear("lm_head", scaled);
    return finishModel(builder, settings.defaults.head, logits, options);
  }

  /** What the decoder reads: the start token, then the labels but the last, padding where they do not count. */
  private shifted(labels: number): number {
    const { builder } = this.sites;
    const { batch, length } = this.options;
    const { startToken, padToken } = this.settings;
    const ignored = builder.compare("eq", labels, builder.constantLike(labels, ignoredLabel));
    const tokens = builder.select(ignored, builder.constantLike(labels, padToken), labels);
    const start = builder.constant(startToken, [batch, 1], "i32");
    return length === 1 ? start : builder.concat([start, builder.slice(tokens, [0, 0], [batch, length - 1])], 1);
  }

  private stack(name: StackName, ids: number, seen: number | undefined, cross: Attended | undefined): number {
    const { sites, settings, options } = this;
    let stream = sites.embedding(`${name}.embed_tokens`, ids);
    const bias = this.bias(name, options.length);
    for (let layer = 0; layer < settings.layers[name]; layer++) {
      const path = blockPath(name, layer);
      stream = this.attention(`${path}.0`, "SelfAttention", stream, { seen, bias });
      if (cross !== undefined) stream = this.attention(`${path}.1`, "EncDecAttention", stream, cross);
      stream = this.feedForward(`${path}.${cross === undefined ? 1 : 2}`, stream);
    }
    return this.norm(`${name}.final_layer_norm`, stream);
  }

  /** f32[heads, length, length]. */
  private bias(name: StackName, length: number): number {
    const { buckets, distance } = this.settings;
    const path = `${blockPath(name, 0)}.0.SelfAttention`;
    const ids = this.sites.within(path, (builder) =>
      relativeBuckets(builder, length, { buckets, distance, bothWays: name === "encoder" }),
    );
    const rows = this.sites.embedding(`${path}.relative_attention_bias`, ids);
    return this.sites.within(path, (builder) => builder.transpose(rows, [2, 0, 1]));
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "rms", this.settings.epsilon);
  }

  private attention(path: string, name: string, x: number, { memory, seen, bias }: Attended): number {
    const { sites } = this;
    const { heads, headWidth } = this.settings;
    const { batch, length } = this.options;
    const normalised = this.norm(`${path}.layer_norm`, x);
    const project = (part: string, from: number, ...groups: number[]): number => {
      const y = sites.linear(`${path}.${name}.${part}`, from);
      return sites.within(`${path}.${name}`, (builder) =>
        builder.reshape(y, [batch, length, heads, ...groups, headWidth]),
      );
    };
    const queries = project("q", normalised, 1);
    const [keys, values] = ["k", "v"].map((part) => project(part, memory ?? normalised)) as [number, number];
    const context = sites.within(`${path}.${name}`, (builder) => {
      const attended = attend(builder, {
        queries,
        keys,
        values,
        seen,
        scale: 1,
        ...(bias === undefined ? {} : { bias }),
      });
      return builder.reshape(attended, [batch, length, heads * headWidth]);
    });
    const made = sites.linear(`${path}.${name}.o`, context);
    return sites.within(path, (builder) => builder.plus(x, made));
  }

  private feedForward(path: string, x: number): number {
    const { sites, settings } = this;
    const dense = `${path}.DenseReluDense`;
    const normalised = this.norm(`${path}.layer_norm`, x);
    const first = sites.linear(`${dense}.${settings.gated ? "wi_0" : "wi"}`, normalised);
    const active = sites.within(dense, (builder) => activate(builder, settings.activation, first));
    const inner = settings.gated ? this.gated(dense, active, sites.linear(`${dense}.wi_1`, normalised)) : active;
    const made = sites.linear(`${dense}.wo`, inner);
    return sites.within(path, (builder) => builder.plus(x, made));
  }

  private gated(path: string, gate: number, value: number): number {
    return this.sites.within(path, (builder) => builder.mul(gate, value));
  }
}
