/**
 * The family bert, roberta: embeddings of tokens, token types and positions, normalised; per layer attention in both directions and MLP, each
 * added to the stream and normalised after it; a classifier of rows or of tokens.
 */
import { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { activate } from "./activation.ts";
import { attend, unpadded } from "./attention.ts";
import { type BertSettings, bertModules, layerPath, readBertConfig } from "./bert-config.ts";
import { finishModel } from "./head.ts";
import { type BuildOptions, type ModelFamily, type ModuleInfo, tokenInput } from "./model.ts";
import { SiteBuilder } from "./sites.ts";

export const bertFamily: ModelFamily = {
  modelTypes: ["bert", "roberta"],
  layerFields: ["num_hidden_layers"],
  describe: (config, sink) => {
    const settings = readBertConfig(config, sink);
    return {
      modules: bertModules(settings),
      inputs: [
        tokenInput(settings.defaults.vocabulary),
        { name: "token_type_ids", dtype: "i32", limit: settings.tokenTypes, fill: 0 },
      ],
      defaults: settings.defaults,
    };
  },
  /** Files made from TensorFlow's checkpoints call gain and bias of a norm gamma and beta. */
  otherKeys: (key) => [
    key.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
  ],
  build: (config, modules, options) =>
    new BertBuilder(readBertConfig(config, new DiagnosticSink()), modules, options).build(),
};

class BertBuilder {
  private readonly sites: SiteBuilder;

  constructor(
    private readonly settings: BertSettings,
    modules: readonly ModuleInfo[],
    private readonly options: BuildOptions,
  ) {
    this.sites = new SiteBuilder(settings.name, modules, options.weightTypes);
  }

  build(): Graph {
    const { settings, sites, options } = this;
    const { builder } = sites;
    const { batch, length } = options;
    const mask = options.mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
    const seen = mask === undefined ? undefined : sites.within(settings.name, () => unpadded(builder, mask));
    let stream = this.embeddings();
    for (let layer = 0; layer < settings.layers; layer++) stream = this.layer(layerPath(settings, layer), stream, seen);
    const logits = this.classifier(stream);
    return finishModel(builder, settings.defaults.head, logits, options);
  }

  private embeddings(): number {
    const { sites, settings, options } = this;
    const path = `${settings.name}.embeddings`;
    const port = (name: string): number => sites.builder.port(name, "input", "i32", [options.batch, options.length]);
    const ids = port("input_ids");
    const tables = [
      sites.embedding(`${path}.word_embeddings`, ids),
      sites.embedding(`${path}.token_type_embeddings`, port("token_type_ids")),
      sites.embedding(
        `${path}.position_embeddings`,
        sites.within(path, () => this.positions(ids)),
      ),
    ];
    const sum = sites.within(path, (builder) => tables.reduce((a, b) => builder.plus(a, b)));
    return this.norm(`${path}.LayerNorm`, sum);
  }

  /** 0, 1, 2 ..; of RoBERTa [b, s]: padding tokens stand at their own number, the others count on from behind it. */
  private positions(ids: number): number {
    const { builder } = this.sites;
    const { batch, length } = this.options;
    const { padding } = this.settings;
    if (padding === undefined) return builder.iota([length], 0);
    const square = [length, length];
    const real = builder.cast(
      builder.add("not", [builder.compare("eq", ids, builder.constantLike(ids, padding))]),
      "f32",
    );
    const before = builder.cast(builder.compare("le", builder.iota(square, 1), builder.iota(square, 0)), "f32");
    const count = builder.mul(builder.einsum("bt,st->bs", real, before), real);
    return builder.cast(builder.plus(count, builder.constant(padding, [batch, length])), "i32");
  }

  private norm(path: string, x: number): number {
    return this.sites.norm(path, x, "layer", this.settings.epsilon);
  }

  private layer(path: string, x: number, seen: number | undefined): number {
    const { sites } = this;
    const added = (scope: string, y: number, to: number): number =>
      this.norm(
        `${scope}.LayerNorm`,
        sites.within(scope, (builder) => builder.plus(y, to)),
      );
    const context = this.attention(`${path}.attention.self`, x, seen);
    const attended = added(`${path}.attention.output`, sites.linear(`${path}.attention.output.dense`, context), x);
    const inner = sites.linear(`${path}.intermediate.dense`, attended);
    const active = sites.within(`${path}.intermediate`, (builder) =>
      activate(builder, this.settings.activation, inner),
    );
    return added(`${path}.output`, sites.linear(`${path}.output.dense`, active), attended);
  }

  private attention(path: string, x: number, seen: number | undefined): number {
    const { batch, length } = this.options;
    const { heads, headWidth, hidden } = this.settings;
    const project = (name: string): number => this.sites.linear(`${path}.${name}`, x);
    const [q, k, v] = [project("query"), project("key"), project("value")];
    return this.sites.within(path, (builder) => {
      const attended = attend(builder, {
        queries: builder.reshape(q, [batch, length, heads, 1, headWidth]),
        keys: builder.reshape(k, [batch, length, heads, headWidth]),
        values: builder.reshape(v, [batch, length, heads, headWidth]),
        seen,
      });
      return builder.reshape(attended, [batch, length, hidden]);
    });
  }

  /** Of rows: from the first token, through a layer with tanh. */
  private classifier(stream: number): number {
    const { sites, settings, options } = this;
    if (settings.defaults.head.kind === "token") return sites.linear("classifier", stream);
    const [dense, out] =
      settings.name === "bert" ? ["bert.pooler.dense", "classifier"] : ["classifier.dense", "classifier.out_proj"];
    const first = sites.within(settings.name, (builder) =>
      builder.reshape(builder.slice(stream, [0, 0, 0], [options.batch, 1, settings.hidden]), [
        options.batch,
        settings.hidden,
      ]),
    );
    const pooled = sites.linear(dense!, first);
    return sites.linear(
      out!,
      sites.within(dense!, (builder) => builder.add("tanh", [pooled])),
    );
  }
}
