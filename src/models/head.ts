/** What the logits of a model are of, and what labels mean. */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph, Output } from "../ir/graph.ts";
import { runInput } from "../ir/run-inputs.ts";
import { sizeOf } from "../ir/types.ts";
import { positiveInteger, section, text, texts } from "./config.ts";
import {
  binaryCrossEntropy,
  causalLoss,
  crossEntropy,
  ignoredLabel,
  ignoredNumber,
  spanLoss,
  squaredError,
} from "./loss.ts";
import type { BuildOptions, FreshHead, HeadKind, HeadNames, HiddenStates, ModelConfig, ModelHead } from "./model.ts";
import { firstToken, meanToken } from "./pooling.ts";

/** Shape of the labels of a batch; of spans their first and last places. */
export function labelShape(head: ModelHead, batch: number, length: number): readonly number[] {
  const { kind, classes, labels } = head;
  if (kind === "span") return [batch, 2];
  if (kind !== "sequence") return [batch, head.length ?? length];
  return labels === "flags" || (labels === "numbers" && classes > 1) ? [batch, classes] : [batch];
}

/** Shape of the logits of a batch, or of the hidden states where there is no head. */
export const logitShape = (head: ModelHead, batch: number, length: number): readonly number[] =>
  head.kind === "sequence" ? [batch, head.classes] : [batch, head.length ?? length, head.classes];

/** Whether every place of the text has a label: virtual tokens in front of it have places and no labels. */
export const labelsOfText = ({ kind }: Pick<ModelHead, "kind">): boolean => kind === "causal" || kind === "token";

/** The label that does not count. */
export const ignoredOf = ({ labels }: Pick<ModelHead, "labels">): number =>
  labels === undefined ? ignoredLabel : ignoredNumber;

/** Labels of a batch of which none counts yet. */
export function unlabelled(head: ModelHead, batch: number, length: number): Int32Array | Float32Array {
  const size = sizeOf(labelShape(head, batch, length));
  return (head.labels === undefined ? new Int32Array(size) : new Float32Array(size)).fill(ignoredOf(head));
}

/**
 * Labels that count: those that are not `ignoredOf` the head, and of a causal model those behind the first place of a row; behind virtual `tokens` that place
 * is predicted too.
 */
export function countLabels(
  labels: ArrayLike<number>,
  length: number,
  head: Pick<ModelHead, "kind" | "labels">,
  tokens = 0,
): number {
  const { kind } = head;
  const ignored = ignoredOf(head);
  if (kind === "span") return countSpans(labels);
  let count = 0;
  for (let i = 0; i < labels.length; i++) {
    const predicted = kind !== "causal" || tokens > 0 || i % length !== 0;
    if (predicted && labels[i] !== ignored) count++;
  }
  return count;
}

/** First and last places that count; none where all of either kind lie outside, as then there is no mean of them. */
function countSpans(labels: ArrayLike<number>): number {
  const counts = [0, 0];
  for (let i = 0; i < labels.length; i++) if (labels[i] !== ignoredLabel) counts[i % 2]!++;
  return counts.includes(0) ? 0 : counts[0]! + counts[1]!;
}

/** The sum of -log p over the labels that count, times the port `label_scale`: f32[]. Reads the port `labels`; `tokens` virtual ones in front have those that an adapter gives them. */
function headLoss(
  builder: Builder,
  head: ModelHead,
  logits: number,
  batch: number,
  length: number,
  tokens: number,
): number {
  return builder.within({ scope: "loss" }, () => {
    const shape = labelShape(head, batch, length);
    const given = builder.port("labels", "input", head.labels === undefined ? "i32" : "f32", shape);
    const scale = runInput(builder, "label_scale");
    if (head.labels !== undefined) {
      const loss = head.labels === "numbers" ? squaredError : binaryCrossEntropy;
      return loss(builder, builder.reshape(logits, shape), given, scale);
    }
    if (head.kind === "span") return spanLoss(builder, logits, given, scale);
    const loss = head.kind === "causal" ? causalLoss : crossEntropy;
    if (tokens === 0) return loss(builder, logits, given, scale);
    const unlabelled = builder.constant(ignoredLabel, [batch, tokens], "i32");
    const labels = builder.add("site.labels", [builder.concat([unlabelled, given], 1)]);
    return loss(builder, logits, labels, scale, builder.add("site.weights", [labels]));
  });
}

/**
 * The graph of a model that ends in these logits: outputs `logits` and, with labels, `loss`. The model put `tokens` virtual ones in front of the
 * text, and adds `losses` to its head's.
 */
export function finishModel(
  builder: Builder,
  head: ModelHead,
  logits: number,
  { batch, length, labels }: BuildOptions,
  { tokens, losses }: { readonly tokens: number; readonly losses: readonly number[] },
): Graph {
  const outputs: Output[] = [{ name: "logits", node: logits }];
  if (labels) {
    const own = headLoss(builder, head, logits, batch, length, tokens);
    const share = (): number => runInput(builder, "loss_share");
    outputs.push({
      name: "loss",
      node: losses.reduce((sum, loss) => builder.plus(sum, builder.mul(loss, share())), own),
    });
  }
  return builder.finish(outputs);
}

/**
 * The graph of a model without a head: outputs `hidden`, `pooler_output` where the model makes one, and `pooled` where the options ask for
 * it: the mean over the tokens that the mask shows, or the first token. The model put `tokens` virtual ones in front, which are not pooled.
 */
export function finishHeadless(
  builder: Builder,
  { hidden, pooler }: HiddenStates,
  { batch, length, mask, pooling }: BuildOptions,
  tokens: number,
): Graph {
  const outputs: Output[] = [{ name: "hidden", node: hidden }];
  if (pooler !== undefined) outputs.push({ name: "pooler_output", node: pooler });
  if (pooling === undefined) return builder.finish(outputs);
  const [, positions, width] = builder.shape(hidden) as [number, number, number];
  const own = tokens === 0 ? hidden : builder.slice(hidden, [0, tokens, 0], [batch, positions, width]);
  const given = mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
  const node = pooling === "cls" ? firstToken({ builder }, own) : meanToken(builder, own, given);
  return builder.finish([...outputs, { name: "pooled", node }]);
}

/** How the names of classes end that have a head, or none. */
const endings = {
  ...{ sequence: "ForSequenceClassification", token: "ForTokenClassification", masked: "ForMaskedLM" },
  ...{ causal: "ForCausalLM", span: "ForQuestionAnswering", none: "Model" },
} as const;

export const headNames = (...kinds: readonly (keyof typeof endings)[]): HeadNames =>
  Object.fromEntries(kinds.map((kind) => [kind, endings[kind]]));

/** Parts of names of other classes that also end with Model. */
const otherModels = /(Head|Heads|Encoder|Decoder|PreTrained)Model$/;

/** The head that `architectures` names, by the end of its name; the first of the family's where it names none. Throws `MODEL-ARCHITECTURE` for others. */
export function headKind(config: ModelConfig, names: HeadNames): HeadKind {
  const architectures = texts(config, "architectures") ?? [];
  const built = Object.entries(names) as [HeadKind, string][];
  const isOf = (name: string, [, ending]: [HeadKind, string]): boolean =>
    name.endsWith(ending) && !(ending === endings.none && otherModels.test(name));
  const found = built.find((head) => architectures.some((name) => isOf(name, head)));
  if (found !== undefined) return found[0];
  if (architectures.length === 0) return built[0]![0];
  throw new WebpeftError("MODEL-ARCHITECTURE", {
    message: "the base model has a head that is not built",
    where: "config.json: architectures",
    expected: `a name that ends with ${built.map(([, ending]) => ending).join(", ")}`,
    got: architectures.join(", "),
  });
}

/**
 * What a classifier of rows gives, by the fields of its config: as many classes as it has labels, of which one holds; or numbers, where
 * there is one label or `problem_type` says so; or several of the classes at once. Throws `MODEL-PROBLEM-TYPE` for other problems.
 */
export function rowLabels(config: ModelConfig): Pick<ModelHead, "classes" | "labels"> {
  const classes = labelCount(config);
  const problem = text(config, "problem_type", classes === 1 ? "regression" : "single_label_classification");
  const meaning = {
    regression: "numbers",
    multi_label_classification: "flags",
    single_label_classification: undefined,
  } as const;
  const isOne = problem === "single_label_classification";
  if (Object.hasOwn(meaning, problem) && !(isOne && classes === 1)) {
    const labels = meaning[problem as keyof typeof meaning];
    return { classes, ...(labels === undefined ? {} : { labels }) };
  }
  throw new WebpeftError("MODEL-PROBLEM-TYPE", {
    message: "a classifier of this kind is not built",
    where: "config.json: problem_type",
    expected: `${Object.keys(meaning).join(", ")}; with one class alone regression`,
    got: `${JSON.stringify(problem)}, ${classes} classes`,
  });
}

/** How transformers draws the weight of a head. */
export function freshHead({ initializer_range: given }: ModelConfig): FreshHead {
  return { deviation: typeof given === "number" && given >= 0 ? given : 0.02 };
}

/** How many labels the config names. */
export function labelCount(config: ModelConfig): number {
  const named = section(config, "id2label");
  return named === undefined ? positiveInteger(config, "num_labels", 2) : Object.keys(named).length;
}
