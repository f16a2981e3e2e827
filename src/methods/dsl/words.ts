/** The words of the fragment language with a meaning of their own: what kinds of sites call their tensors, and what holds at a site. */

import type { Site } from "../site.ts";
import type { ModelScope, Scope } from "./scope.ts";
import { absent, type Known, known, tensorValue, type Value } from "./value.ts";

/** What a kind of site calls its tensors. */
export interface SiteNames {
  readonly weight?: string;
  readonly base?: string;
  readonly bias?: string;
  readonly form: "operator" | "vector";
  /** What a fragment may assign. */
  readonly targets: readonly string[];
  /** Names beside weight and bias. */
  readonly words?: readonly string[];
}

/**
 * Names by kind of site. A parameter is one matrix, or those of experts below one another. An embedding is the linear layer that is applied to one-hot vectors: its W has a column for every token. The weight
 * of a norm is a vector. Of a prompt and an attention nothing is replaced: what is assigned is put in front or added.
 */
export const siteNames: Readonly<Record<string, SiteNames>> = {
  linear: { weight: "W", base: "W0", bias: "b", form: "operator", targets: ["W", "b", "loss"] },
  embedding: { weight: "W", base: "W0", form: "operator", targets: ["W", "loss"] },
  parameter: { weight: "W", base: "W0", form: "operator", targets: ["W", "loss"] },
  norm: { weight: "gain", base: "gain0", bias: "b", form: "vector", targets: ["gain", "b", "loss"] },
  prompt: { base: "W0", form: "operator", targets: ["rows", "labels", "weights", "loss"], words: ["labels"] },
  attention: {
    form: "operator",
    targets: ["keys", "values", "context", "output", "loss"],
    words: ["queries", "Wk", "bk", "Wv", "bv", "context", "output"],
  },
};

/** The names that a kind gives to tensors. */
export const namesOf = ({ weight, base, bias, words = [] }: SiteNames): string[] => [
  ...[weight, base, bias].filter((name) => name !== undefined),
  ...words,
];

interface Word {
  readonly doc: string;
  readonly value: (scope: Scope) => Value;
  /** Whether it may be another at every site. */
  readonly ofSite: boolean;
}

const word = (doc: string, value: (scope: Scope) => Value): Word => ({ doc, value, ofSite: false });
const ofSite = (doc: string, read: (site: Site) => Known): Word => ({
  ...word(doc, (scope) => known(read(scope.siteOrFail()))),
  ofSite: true,
});
const ofModel = (doc: string, read: (model: ModelScope) => Known): Word => word(doc, ({ model }) => known(read(model)));

const widest = (side: "in" | "out", { sites }: ModelScope): number => Math.max(...sites.map((site) => site[side]));
const total = ({ sites }: ModelScope, size: (site: Site) => number): number =>
  sites.reduce((sum, site) => sum + size(site), 0);

/** Words with a fixed meaning, by their dotted path. */
export const predefined: Readonly<Record<string, Word>> = {
  in: ofSite("width of the site's input; of an embedding: its tokens", (site) => site.in),
  out: ofSite("width of the site's output", (site) => site.out),
  key_heads: ofSite("heads of the keys of an attention", (site) => site.keyHeads ?? 0),
  prefix_heads: ofSite(
    "heads of keys that stand in front of those of an attention: key_heads, or all where transformers repeats keys for every head",
    (site) => site.prefixHeads ?? site.keyHeads ?? 0,
  ),
  model_type: ofModel("model_type of the base model", ({ base }) => base.modelType),
  "site.index": ofSite("number of the site, from 0", (site) => site.index),
  "site.path": ofSite("module path of the site", (site) => site.path),
  "site.kind": ofSite("linear, embedding, parameter, norm, prompt or attention", (site) => site.kind),
  "site.matrices": ofSite(
    "matrices that a parameter holds below one another; 1 elsewhere",
    (site) => site.matrices ?? 1,
  ),
  channels: ofSite(
    "channels of the site's input: of a layer on patches of an image those of the image, else in",
    (site) => site.patch?.[0] ?? site.in,
  ),
  "site.patches": ofSite("true where the layer is applied to patches of an image", ({ patch }) => patch !== undefined),
  "site.has_bias": ofSite("true where the layer has a bias", ({ bias }) => bias !== undefined),
  "sites.count": ofModel("number of adapted sites", ({ sites }) => sites.length),
  "sites.max.in": ofModel("widest input of all sites", (model) => widest("in", model)),
  "sites.max.out": ofModel("widest output of all sites", (model) => widest("out", model)),
  "sites.total.in": ofModel("widths of the inputs of all sites together", (model) => total(model, (site) => site.in)),
  "sites.total.out": ofModel("widths of the outputs of all sites together", (model) =>
    total(model, (site) => site.out),
  ),
  "sites.entries": ofModel("entries of all weights together", (model) => total(model, (site) => site.in * site.out)),
  samples: word("samples of the batch; 1 where weights are merged", (scope) =>
    known(scope.buildOrFail(scope.model.method.at).samples ?? 1),
  ),
  length: word("tokens of a row of the batch, where virtual tokens come in front of them", (scope) =>
    known(scope.lengthOrFail()),
  ),
  task_type: ofModel("task_type of the config, or null", ({ fields }) => fields.task_type ?? null),
  merging: word("true where one W' for all samples is wanted", ({ build }) =>
    known(build !== undefined && build.samples === undefined),
  ),
  first_pass: word("true in the pass that hidden comes from", ({ build }) => known(build?.firstPass ?? false)),
  hidden: word(
    "last hidden states f32[samples, tokens, hidden_width] of a first pass over the model, as a constant; there in the second pass",
    (scope) => {
      const { at } = scope.model.method;
      const { hidden } = scope.buildOrFail(at);
      if (hidden !== undefined) return tensorValue(hidden);
      const help = "Read hidden in the second pass only: first_pass ? ... : merging ? ... : ...";
      throw scope.error("METHOD-STATIC", at, { message: "There are no hidden states here.", help });
    },
  ),
  encoder_decoder: ofModel(
    "true where the base model writes labels, behind an encoder that reads the text",
    ({ base }) => base.encoderDecoder,
  ),
  hidden_width: ofModel("width of the base's hidden states", ({ base }) => base.hiddenWidth),
  "experts.count": ofModel("adapters that are mixed", ({ experts = [] }) => experts.length),
  "experts.configs": ofModel("their configs, peft_type included", ({ experts = [] }) =>
    experts.map(({ fields }) => fields),
  ),
  loss: word("the model's loss; loss' = loss + x adds x at every site", () => absent),
  train: ofModel("true where a training program draws", ({ situation }) => situation.sampling),
  training: ofModel(
    "true in a program that trains, whether it draws or not",
    ({ situation }) => situation.purpose === "train",
  ),
  predicting: ofModel(
    "true where weights are drawn from a posterior for predictions: the method then has a stage predict",
    ({ situation }) => situation.purpose === "predict",
  ),
  encoder: ofModel(
    "true when the adapter is fresh, or encoder.safetensors lies beside its file",
    ({ situation }) => situation.encoder ?? true,
  ),
  initial_tokens: ofModel(
    "token ids that a fresh prompt begins as, or null",
    ({ situation }) => situation.initialTokens ?? null,
  ),
  loaded: ofModel("true when the adapter comes from a file", ({ situation }) => situation.loaded ?? false),
  peft_version: ofModel("version of PEFT that wrote the config, or null", ({ fields }) => fields.peft_version ?? null),
  pi: word("3.14159...", () => known(Math.PI)),
};
