/** What the names of a fragment mean at one site: declarations, config fields, and the words that the site itself provides. */
import type { Builder } from "../../ir/builder.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { FieldValue } from "../fields.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import type { InputItem, Item, MethodAst, Place, SiteBlock, TensorItem } from "./ast.ts";
import { limitError, limits } from "./limits.ts";
import { absent, type Known, known, operatorValue, tensorValue, type Value } from "./value.ts";

/** One place of the base model that the adapter changes. */
export interface MethodSite {
  /** Path of the module, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly kind: string;
  readonly in: number;
  readonly out: number;
  /** Config fields as they hold here (patterns applied). */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly index: number;
  readonly hasBias: boolean;
  /** The config field that names this site, when it is not `target_modules`. */
  readonly from?: string;
  /** Path of a linear layer that shares the weight. */
  readonly tiedTo?: string;
  /** Heads of the keys of an attention. */
  readonly keyHeads?: number;
  /** Of a layer on patches of an image: [channels, height, width] of a patch. */
  readonly patch?: readonly number[];
  /** Key of its weight in the base model's file. */
  readonly weight?: string;
}

/** Key in the adapter's file of a tensor of the module at a path; a prompt belongs to no module, and its tensors have their key alone. */
export const siteKey = ({ path }: Pick<MethodSite, "path">, key: string): string =>
  path === "" ? key : `base_model.model.${path}.${key}`;

/** What holds for the whole model. */
export interface ModelScope {
  readonly method: MethodAst;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** `model_type` of the base's config. */
  readonly modelType: string;
  /** Names of the fields that the config held itself. */
  readonly present: ReadonlySet<string>;
  readonly sites: readonly MethodSite[];
  /** In a training program projections are a stage of their own. */
  readonly train: boolean;
  /** Dropout and relaxed gates are drawn. */
  readonly sampling: boolean;
  /** Weights are drawn from a posterior, as predictions want them. */
  readonly predicting: boolean;
  /** The adapter's tensors come from a file. */
  readonly loaded: boolean;
  readonly bfloat16: boolean;
  /**
   * Extents that padded fields have at least in the program's ports; undefined when the program is made for the sizes of one adapter.
   * Numbers that `per_adapter` marks are then inputs.
   */
  readonly padding?: number | undefined;
  /** Notes a number that is an input of the program, by the name of its port. */
  readonly setting?: (port: string, value: number) => void;
  /** Name of the port of a host table; equal tables share one. */
  readonly table: (name: string, data: Int32Array | Float32Array, shape: readonly number[]) => string;
}

/** What is there when graph nodes are built; absent while shapes and conditions are worked out. */
export interface BuildScope {
  readonly builder: Builder;
  /** See `SiteOperands`; absent where a kind of site has none. */
  readonly weight?: number;
  readonly base?: number;
  readonly bias?: number | undefined;
  readonly scalars: ScalarIds;
  /** See `SiteOperands`. */
  readonly samples?: number | undefined;
  /** See `AdditionOperands`. */
  readonly length?: number | undefined;
  /** What a site without a weight of its own provides, by the names of its kind. */
  readonly words?: ReadonlyMap<string, Value>;
  /** The tensor's node: a port, or its initial value in the program that makes a fresh adapter. */
  readonly tensor: (item: TensorItem) => number;
}

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

const ofSite = (read: (site: MethodSite) => Known) => (scope: Scope) => known(read(scope.siteOrFail()));

/** Words with a fixed meaning, by their dotted path. */
export const predefined: Readonly<Record<string, { doc: string; value: (scope: Scope) => Value }>> = {
  in: { doc: "width of the site's input; of an embedding: its tokens", value: ofSite((site) => site.in) },
  out: { doc: "width of the site's output", value: ofSite((site) => site.out) },
  key_heads: { doc: "heads of the keys of an attention", value: ofSite((site) => site.keyHeads ?? 0) },
  model_type: { doc: "model_type of the base model", value: (scope) => known(scope.model.modelType) },
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
  "site.has_bias": { doc: "true where the layer has a bias", value: ofSite((site) => site.hasBias) },
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
  loss: { doc: "the model's loss; loss' = loss + x adds x at every site", value: () => absent },
  train: { doc: "true where a training program draws", value: (scope) => known(scope.model.sampling) },
  training: {
    doc: "true in a program that trains, whether it draws or not",
    value: (scope) => known(scope.model.train),
  },
  predicting: {
    doc: "true where weights are drawn from a posterior for predictions: the method then has a stage predict",
    value: (scope) => known(scope.model.predicting),
  },
  loaded: { doc: "true when the adapter comes from a file", value: (scope) => known(scope.model.loaded) },
  task_type: { doc: "task_type of the config, or null", value: (scope) => known(scope.model.fields.task_type ?? null) },
  peft_version: {
    doc: "version of PEFT that wrote the config, or null",
    value: (scope) => known(scope.model.fields.peft_version ?? null),
  },
  pi: { doc: "3.14159...", value: () => known(Math.PI) },
};

/** Named items of the method and of one block; the block's win. */
export function declarations(method: MethodAst, block?: SiteBlock): Map<string, Item> {
  const found = new Map<string, Item>();
  for (const item of [...method.items, ...(block?.items ?? [])]) {
    if ("name" in item && item.kind !== "target") found.set(item.name, item);
  }
  return found;
}

export class Scope {
  readonly declared: ReadonlyMap<string, Item>;
  private readonly memo = new Map<string, Value | "pending">();
  private steps = 0;

  constructor(
    readonly model: ModelScope,
    readonly block: SiteBlock | undefined,
    readonly site: MethodSite | undefined,
    readonly build?: BuildScope,
  ) {
    this.declared = declarations(model.method, block);
  }

  /** Items of the method, then those of the block. */
  get items(): readonly Item[] {
    return [...this.model.method.items, ...(this.block?.items ?? [])];
  }

  error(
    code: string,
    at: Place,
    fields: { message: string; expected?: string; got?: string; help?: string },
  ): WebpeftError {
    const site = this.site === undefined ? "" : ` at ${this.site.path}`;
    return new WebpeftError(code, { ...fields, where: `${this.model.method.file}:${at.line}:${at.column}${site}` });
  }

  siteOrFail(at: Place = this.model.method.at): MethodSite {
    if (this.site !== undefined) return this.site;
    throw this.error("METHOD-STATIC", at, {
      message: "This is worked out once per model, and no site is known there.",
      help: "Use sites.max.in and sites.max.out for tensors that all sites share.",
    });
  }

  builderOrFail(at: Place): Builder {
    return this.buildOrFail(at).builder;
  }

  buildOrFail(at: Place): BuildScope {
    if (this.build !== undefined) return this.build;
    throw this.error("METHOD-STATIC", at, {
      message: "Shapes, conditions, keys and constants are worked out before any tensor exists.",
      expected: "numbers, config fields and functions of them",
      got: "a tensor or operator",
    });
  }

  /** Tokens of a row; throws METHOD-STATIC at sites that do not know. */
  lengthOrFail(at: Place = this.model.method.at): number {
    const { length } = this.buildOrFail(at);
    if (length !== undefined) return length;
    throw this.error("METHOD-STATIC", at, {
      message: "The tokens of a row are known on prompt sites only.",
      got: `a site of kind ${this.siteOrFail(at).kind}`,
    });
  }

  /** Numbers of the tokens or samples; where weights are merged the one that holds for all, in a buffer that the merging is given. */
  batchInput({ name, option, per }: InputItem, at: Place): number {
    const { builder, samples } = this.buildOrFail(at);
    if (per !== undefined) return builder.port(name, "input", "i32", [samples ?? 1, this.lengthOrFail(at)]);
    return samples === undefined
      ? builder.port(option!, "buffer", "i32", [1])
      : builder.port(name, "input", "i32", [samples]);
  }

  countStep(at: Place): void {
    this.steps++;
    if (this.steps > limits.steps)
      throw limitError(this.model.method.file, "too many expressions at one site", limits.steps, at.line);
  }

  /** Key in the adapter's file of a tensor of this site. */
  siteKey(end: string): string {
    return siteKey(this.siteOrFail(), end);
  }

  /** The value of `name`, worked out once; `make` may come back here, but not for the same name. */
  once(name: string, at: Place, make: () => Value): Value {
    const before = this.memo.get(name);
    if (before === "pending") {
      throw this.error("METHOD-CYCLE", at, { message: `${name} is defined by itself.` });
    }
    if (before !== undefined) return before;
    this.memo.set(name, "pending");
    const value = make();
    this.memo.set(name, value);
    return value;
  }

  field(name: string): FieldValue | undefined {
    return this.site?.fields[name] ?? this.model.fields[name];
  }

  /** W, W0 and b of the site, or gain, gain0 and b of a norm, or what an attention provides. */
  siteWeight(name: string, at: Place): Value | undefined {
    const names = siteNames[this.block?.siteKind ?? ""];
    if (names === undefined) return undefined;
    if (names.words?.includes(name)) return this.buildOrFail(at).words?.get(name);
    const value = names.form === "operator" ? operatorValue : tensorValue;
    if (name === names.weight) return value(this.buildOrFail(at).weight!);
    if (name === names.base) return value(this.buildOrFail(at).base!);
    if (name !== names.bias || names.bias === undefined) return undefined;
    const { bias } = this.buildOrFail(at);
    return bias === undefined ? absent : tensorValue(bias);
  }
}
