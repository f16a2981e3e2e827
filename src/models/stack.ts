/** Walks a `DecoderSpec`: embeddings, a row of layers on one stream, a norm, a head. The tree gives both the list of modules and the graph. */
import { softcap } from "./attention.ts";
import { type DecoderLayer, decoderAttention } from "./attention-layer.ts";
import { specialTokens } from "./config.ts";
import { imbalance, type Mixture, mixture } from "./experts.ts";
import { freshHead, labelCount, rowLabels } from "./head.ts";
import { embedding, linear, norm, type Unary } from "./layers.ts";
import { isMixture, mlp, mlpOf, mlpParts } from "./mlp.ts";
import { type ModelConfig, type ModelHead, tokenInput } from "./model.ts";
import { allOfHead, block, cast, list, type ModelTree, type Module, maybe, named, pathOf, silent } from "./module.ts";
import { rotary } from "./rope.ts";
import { Text } from "./sequence.ts";
import type { DecoderSpec, LayerSpec } from "./spec.ts";

type Decoder = (text: Text) => number;

/** What stands behind the decoder at the top of the model, and makes the logits of its stream. */
export interface Head {
  readonly modules: Readonly<Record<string, Module>>;
  readonly logits: (modules: Readonly<Record<string, Unary>>, stream: number, text: Text) => number;
  /** What the logits are of. */
  readonly is: ModelHead;
  /** Modules that are listed before the decoder. */
  readonly before?: Readonly<Record<string, Module>>;
  /** The name of the model without its head, where it is not that of the spec. */
  readonly top?: string | undefined;
}

/** The model that a spec describes, with a head or without one; the config gives its special tokens. */
export function modelOf(spec: DecoderSpec, head: Head | undefined, config: ModelConfig): ModelTree {
  const { modelType, vocabulary, hidden, embeddingWidth = hidden, layers, maximumLength, positions, ropes } = spec;
  const [prefix, ...inside] = spec.names.path as [string, ...string[]];
  const longest = Math.min(maximumLength, ...Object.values(ropes).map((rope) => rope.longest ?? maximumLength));
  const limits = positions !== undefined || Object.values(ropes).some((rope) => rope.longest !== undefined);
  const { is = { kind: "none", classes: embeddingWidth }, top = prefix } = head ?? {};
  return {
    root: head === undefined ? headless(spec, inside) : headed(spec, [top, ...inside], head, config),
    prefix: top,
    ...(top === prefix ? {} : { otherPrefixes: [prefix] }),
    inputs: [tokenInput(vocabulary)],
    defaults: {
      ...{ modelType, head: is, vocabulary, hidden, layers: layers.length, maximumLength: longest },
      ...(limits ? { limitsLength: true } : {}),
      ...specialTokens(config),
    },
  };
}

/** The decoder below the modules of a path. */
const below = (path: readonly string[], spec: DecoderSpec): Module<Decoder> =>
  path.reduceRight<Module<Decoder>>(
    (inner, name) => block({ [name]: inner }, (modules) => named<Decoder>(modules, name)),
    decoder(spec),
  );

function headed(
  spec: DecoderSpec,
  [top, ...inside]: readonly string[],
  { before = {}, modules: own, logits, is }: Head,
  config: ModelConfig,
): ModelTree["root"] {
  const ends = is.kind === "causal" ? own : allOfHead(own, freshHead(config));
  return block({ ...before, [top!]: below(inside, spec), ...ends }, (modules, { sites }) => (options) => {
    const text = new Text(sites, options);
    return logits(modules as object as Readonly<Record<string, Unary>>, named<Decoder>(modules, top!)(text), text);
  });
}

function headless(spec: DecoderSpec, path: readonly string[]): ModelTree["root"] {
  const alone = below(path, spec);
  return {
    ...alone,
    call: (place) => (options) => ({ hidden: alone.call(place)(new Text(place.sites, options)) }),
  };
}

/** Key of the weight of the spec's table. */
export const tableOf = ({ names }: DecoderSpec): string =>
  [...names.path, pathOf(names.parts, "embedding"), "weight"].join(".");

/** The heads that decoders have: logits of the next token, classes of every token, classes of a row, read from its last token, or the ends of a span. */
export const decoderHeads: Readonly<
  Record<"causal" | "token" | "sequence" | "span", (spec: DecoderSpec, config: ModelConfig) => Head>
> = {
  causal: (spec) => {
    const { names, head, vocabulary, embeddingWidth = spec.hidden } = spec;
    const weight = head.tied ? tableOf(spec) : undefined;
    return {
      modules: { [names.head]: linear(embeddingWidth, vocabulary, head.bias ?? false, { weight }) },
      logits: (modules, stream, text) => {
        const { builder } = text;
        if (spec.balance !== undefined) text.addLoss(builder.scale(imbalance(builder, text), spec.balance));
        const scores = builder.scale(modules[names.head]!(stream), head.scale ?? 1);
        return head.cap === undefined ? scores : softcap(builder, scores, head.cap);
      },
      is: { kind: "causal", classes: vocabulary },
    };
  },
  sequence: ({ hidden, embeddingWidth = hidden }, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    const { padToken } = specialTokens(config);
    return {
      ...{ modules: { score: linear(embeddingWidth, is.classes, false) }, is },
      logits: ({ score }, stream, text) => score!(text.lastReal(stream, padToken)),
    };
  },
  token: ({ names, hidden, embeddingWidth = hidden }, config) => {
    const name = names.tokenClassifier ?? "score";
    const is = { kind: "token", classes: labelCount(config) } as const;
    return {
      ...{ modules: { dropout: silent, [name]: linear(embeddingWidth, is.classes, true) } },
      ...{ logits: (modules, stream) => modules[name]!(stream), is },
    };
  },
  span: ({ names, hidden, embeddingWidth = hidden }) => ({ ...spanHead(embeddingWidth), top: names.aboveSpans }),
};

/** One layer gives every token two numbers: whether a span begins there, and whether it ends there. */
export const spanHead = (width: number): Head => ({
  modules: { qa_outputs: linear(width, 2, true) },
  logits: ({ qa_outputs }, stream) => qa_outputs!(stream),
  is: { kind: "span", classes: 2 },
});

function decoder(spec: DecoderSpec): Module<Decoder> {
  const { vocabulary, hidden, embeddingWidth = hidden, embeddingScale = 1, streamScale = 1, positions } = spec;
  const windows = spec.layers.map(({ attention }) => attention.window);
  const projects = embeddingWidth !== hidden;
  return cast(
    spec.names.parts,
    {
      embedding: embedding(vocabulary, embeddingWidth),
      "embedding norm": maybe(norm(embeddingWidth, spec.norm)),
      positions: maybe(embedding(spec.maximumLength + (positions?.offset ?? 0), hidden)),
      "project in": projects ? linear(embeddingWidth, hidden, false) : undefined,
      "project out": projects ? linear(hidden, embeddingWidth, false) : undefined,
      layers: list(spec.layers.map((layer) => decoderLayer(hidden, layer))),
      norm: maybe(norm(hidden, spec.norm)),
      rope: maybe(rotary(spec.layers[0]!.attention.headWidth, spec.ropes)),
    },
    (modules, { builder }) =>
      (text) => {
        const ropes = modules.rope?.(text.positions, text.keys) ?? {};
        const embedded = text.embedded(modules.embedding, embeddingScale);
        const wide = modules["project in"]?.(embedded) ?? embedded;
        const placed = positions === undefined ? wide : builder.plus(wide, modules.positions!(text.numbers(positions)));
        const first = modules["embedding norm"]?.(placed) ?? placed;
        const seen = (window: number | undefined): number =>
          spec.bothWays === true ? text.seenBothWays(window) : text.seen(window);
        const stream = modules.layers.reduce(
          (x, one, index) => one(x, { text, ropes, seen: seen(windows[index]) }),
          builder.scale(first, streamScale),
        );
        const last = modules.norm?.(stream) ?? stream;
        return modules["project out"]?.(last) ?? last;
      },
  );
}

function decoderLayer(hidden: number, spec: LayerSpec): Module<DecoderLayer> {
  const { names, parallel = false, residualScale = 1 } = spec;
  const normed = (): Module<Unary> | undefined => norm(hidden, spec.norm);
  return cast(
    names,
    {
      attention: decoderAttention(hidden, spec.attention),
      mlp: maybe<Module<Mixture>>(isMixture(spec.mlp) ? mixture(hidden, spec.mlp) : mlp(hidden, spec.mlp)),
      ...mlpParts(hidden, spec.mlp),
      "before attention": normed(),
      "after attention": normed(),
      "sum attention": normed(),
      "before mlp": normed(),
      "after mlp": normed(),
      "sum mlp": normed(),
    },
    (modules, place) => {
      const { builder } = place;
      const apart: Mixture = modules.mlp ?? mlpOf(modules, place, spec.mlp);
      /** What a part of the layer gives to the stream: its norms around what it makes. */
      const branch = (part: "attention" | "mlp", x: number, of: Unary): number => {
        const made = of(modules[`before ${part}`]?.(x) ?? x);
        return builder.scale(modules[`after ${part}`]?.(made) ?? made, residualScale);
      };
      const sum = (part: "attention" | "mlp", x: number, added: number): number => {
        const all = builder.plus(x, added);
        return modules[`sum ${part}`]?.(all) ?? all;
      };
      if (parallel)
        return (x, input) => {
          const read = modules["before attention"]?.(x) ?? x;
          const own = modules["before mlp"]?.(x) ?? read;
          return builder.plus(builder.plus(modules.attention(read, input), apart(own, input.text)), x);
        };
      return (x, input) => {
        const attended = sum(
          "attention",
          x,
          branch("attention", x, (y) => modules.attention(y, input)),
        );
        return sum(
          "mlp",
          attended,
          branch("mlp", attended, (y) => apart(y, input.text)),
        );
      };
    },
  );
}
