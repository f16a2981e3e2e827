/** Heads that several families have. */
import { type Activation, activate } from "./activation.ts";
import { softcap } from "./attention.ts";
import { specialTokens } from "./config.ts";
import { imbalance } from "./experts.ts";
import { labelCount, rowLabels } from "./head.ts";
import { layerNorm, linear, type Unary } from "./layers.ts";
import type { ModelConfig } from "./model.ts";
import { block, type Module, silent } from "./module.ts";
import type { DecoderSpec } from "./spec.ts";
import { outputWidth } from "./stack.ts";
import { type Head, tableOf } from "./tree.ts";

/** The heads that decoders have: logits of the next token, classes of every token, classes of a row, read from its last token, or the ends of a span. */
export const decoderHeads: Readonly<
  Record<"causal" | "token" | "sequence" | "span", (spec: DecoderSpec, config: ModelConfig) => Head>
> = {
  causal: (spec) => {
    const { names, head, vocabulary } = spec;
    const weight = head.tied ? tableOf(spec) : undefined;
    return {
      modules: { [names.head]: linear(outputWidth(spec), vocabulary, head.bias ?? false, { weight }) },
      logits: (modules, { hidden }, sequence) => {
        const { builder } = sequence;
        if (spec.balance !== undefined) sequence.addLoss(builder.scale(imbalance(builder, sequence), spec.balance));
        const scores = builder.scale(modules[names.head]!(hidden), head.scale ?? 1);
        return head.cap === undefined ? scores : softcap(builder, scores, head.cap);
      },
      is: { kind: "causal", classes: vocabulary },
    };
  },
  sequence: (spec, config) => {
    const is = { kind: "sequence", ...rowLabels(config) } as const;
    const { padToken } = specialTokens(config);
    return {
      ...{ modules: { score: linear(outputWidth(spec), is.classes, false) }, is },
      logits: ({ score }, { hidden }, sequence) => score!(sequence.lastReal(hidden, padToken)),
    };
  },
  token: (spec, config) => tokenHead(outputWidth(spec), config, spec.names.tokenClassifier ?? "score"),
  span: (spec) => ({ ...spanHead(outputWidth(spec)), top: spec.names.aboveSpans }),
};

/** One layer gives every token two numbers: whether a span begins there, and whether it ends there. */
export const spanHead = (width: number): Head => ({
  modules: { qa_outputs: linear(width, 2, true) },
  logits: ({ qa_outputs }, { hidden }) => qa_outputs!(hidden),
  is: { kind: "span", classes: 2 },
});

/** One layer gives every token its classes. */
export function tokenHead(width: number, config: ModelConfig, name = "classifier"): Head {
  const is = { kind: "token", classes: labelCount(config) } as const;
  return {
    modules: { dropout: silent, [name]: linear(width, is.classes, true) },
    logits: (modules, { hidden }) => modules[name]!(hidden),
    is,
  };
}

/** Layers that make logits of the stream, in turn: those of the modules that are no dropout. */
export const inTurn =
  (modules: Head["modules"]): Head["logits"] =>
  (bound, { hidden }) =>
    Object.keys(modules)
      .filter((name) => modules[name] !== silent)
      .reduce((x, name) => bound[name]!(x), hidden);

/** The head of masked tokens, which stands at `cls`. `table`: the key of the weight that it shares. */
export function predictions({
  hidden,
  embeddingWidth,
  vocabulary,
  epsilon,
  activation,
  table,
}: {
  readonly hidden: number;
  readonly embeddingWidth: number;
  readonly vocabulary: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly table: string | undefined;
}): Module<Unary> {
  const transform = block(
    {
      ...{ dense: linear(hidden, embeddingWidth, true), transform_act_fn: silent },
      LayerNorm: layerNorm(embeddingWidth, epsilon),
    },
    (modules, { builder }) =>
      (x: number) =>
        modules.LayerNorm(activate(builder, activation, modules.dense(x))),
  );
  const decoder = linear(embeddingWidth, vocabulary, true, { weight: table });
  const inTurn = block({ transform, decoder }, (modules) => (x: number) => modules.decoder(modules.transform(x)));
  return block({ predictions: inTurn }, (modules) => (x) => modules.predictions(x));
}
