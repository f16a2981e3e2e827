/** The words of the fragment language with a meaning of their own: what kinds of sites call their tensors, and what holds at a site. */

import type { Site } from "../site.ts";
import type { Scope } from "./scope.ts";
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
 * Names by kind of site. An embedding is the linear layer that is applied to one-hot vectors: its W has a column for every token. The weight
 * of a norm is a vector. Of a prompt and an attention nothing is replaced: what is assigned is put in front or added.
 */
export const siteNames: Readonly<Record<string, SiteNames>> = {
  linear: { weight: "W", base: "W0", bias: "b", form: "operator", targets: ["W", "b", "loss"] },
  embedding: { weight: "W", base: "W0", form: "operator", targets: ["W", "loss"] },
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

const total = (...xs: number[]): number => xs.reduce((sum, x) => sum + x, 0);

const extent = (side: "in" | "out", reduce: (...xs: number[]) => number) => (scope: Scope) =>
  known(reduce(...scope.model.sites.map((site) => site[side])));

const ofSite = (read: (site: Site) => Known) => (scope: Scope) => known(read(scope.siteOrFail()));

/** Words with a fixed meaning, by their dotted path. */
export const predefined: Readonly<Record<string, { doc: string; value: (scope: Scope) => Value }>> = {
  in: { doc: "width of the site's input; of an embedding: its tokens", value: ofSite((site) => site.in) },
  out: { doc: "width of the site's output", value: ofSite((site) => site.out) },
  key_heads: { doc: "heads of the keys of an attention", value: ofSite((site) => site.keyHeads ?? 0) },
  model_type: { doc: "model_type of the base model", value: (scope) => known(scope.model.base.modelType) },
  "site.index": { doc: "number of the site, from 0", value: ofSite((site) => site.index) },
  "site.path": { doc: "module path of the site", value: ofSite((site) => site.path) },
  "site.kind": { doc: "linear, embedding, norm, prompt or attention", value: ofSite((site) => site.kind) },
  channels: {
    doc: "channels of the site's input: of a layer on patches of an image those of the image, else in",
    value: ofSite((site) => site.patch?.[0] ?? site.in),
  },
  "site.patches": {
    doc: "true where the layer is applied to patches of an image",
    value: ofSite((site) => site.patch !== undefined),
  },
  "site.has_bias": { doc: "true where the layer has a bias", value: ofSite((site) => site.bias !== undefined) },
  "sites.count": { doc: "number of adapted sites", value: (scope) => known(scope.model.sites.length) },
  "sites.max.in": { doc: "widest input of all sites", value: extent("in", Math.max) },
  "sites.max.out": { doc: "widest output of all sites", value: extent("out", Math.max) },
  "sites.total.in": { doc: "widths of the inputs of all sites together", value: extent("in", total) },
  "sites.total.out": { doc: "widths of the outputs of all sites together", value: extent("out", total) },
  "sites.entries": {
    doc: "entries of all weights together",
    value: (scope) => known(scope.model.sites.reduce((sum, site) => sum + site.in * site.out, 0)),
  },
  samples: {
    doc: "samples of the batch; 1 where weights are merged",
    value: (scope) => known(scope.buildOrFail(scope.model.method.at).samples ?? 1),
  },
  length: {
    doc: "tokens of a row of the batch, where virtual tokens come in front of them",
    value: (scope) => known(scope.lengthOrFail()),
  },
  task_type: { doc: "task_type of the config, or null", value: (scope) => known(scope.model.fields.task_type ?? null) },
  merging: {
    doc: "true where one W' for all samples is wanted",
    value: (scope) => known(scope.build !== undefined && scope.build.samples === undefined),
  },
  first_pass: {
    doc: "true in the pass that hidden comes from",
    value: (scope) => known(scope.build?.firstPass ?? false),
  },
  hidden: {
    doc: "last hidden states f32[samples, tokens, hidden_width] of a first pass over the model, as a constant; there in the second pass",
    value: (scope) => {
      const { at } = scope.model.method;
      const { hidden } = scope.buildOrFail(at);
      if (hidden !== undefined) return tensorValue(hidden);
      throw scope.error("METHOD-STATIC", at, {
        message: "There are no hidden states here.",
        help: "Read hidden in the second pass only: first_pass ? ... : merging ? ... : ...",
      });
    },
  },
  hidden_width: { doc: "width of the base's hidden states", value: (scope) => known(scope.model.base.hiddenWidth) },
  "experts.count": { doc: "adapters that are mixed", value: (scope) => known(scope.model.experts?.length ?? 0) },
  "experts.configs": {
    doc: "their configs, peft_type included",
    value: (scope) => known((scope.model.experts ?? []).map(({ fields }) => fields)),
  },
  loss: { doc: "the model's loss; loss' = loss + x adds x at every site", value: () => absent },
  train: { doc: "true where a training program draws", value: (scope) => known(scope.model.situation.sampling) },
  training: {
    doc: "true in a program that trains, whether it draws or not",
    value: (scope) => known(scope.model.situation.purpose === "train"),
  },
  predicting: {
    doc: "true where weights are drawn from a posterior for predictions: the method then has a stage predict",
    value: (scope) => known(scope.model.situation.purpose === "predict"),
  },
  encoder: {
    doc: "true when the adapter is fresh, or encoder.safetensors lies beside its file",
    value: (scope) => known(scope.model.situation.encoder ?? true),
  },
  initial_tokens: {
    doc: "token ids that a fresh prompt begins as, or null",
    value: (scope) => known(scope.model.situation.initialTokens ?? null),
  },
  loaded: {
    doc: "true when the adapter comes from a file",
    value: (scope) => known(scope.model.situation.loaded ?? false),
  },
  peft_version: {
    doc: "version of PEFT that wrote the config, or null",
    value: (scope) => known(scope.model.fields.peft_version ?? null),
  },
  pi: { doc: "3.14159...", value: () => known(Math.PI) },
};
