/** What a base model tells about itself: its modules, in the order and with the names of transformers 5, and its graph. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";

export type ModuleKind = "linear" | "embedding" | "norm" | "attention" | "container";

/** One module of the base model, as `named_modules()` lists it. */
export interface ModuleInfo {
  /** Path in memory, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly kind: ModuleKind;
  /** Key of the weight in the base model's file. Tied modules have one key. */
  readonly weight?: string;
  /** Key of the bias in the base model's file. */
  readonly bias?: string;
  /** Width of the input (an embedding: its vocabulary). */
  readonly in?: number;
  /** Width of the output. */
  readonly out?: number;
  /** How the file stores the weight: `linear` is [out, in], `conv1d` (GPT-2) is [in, out]. */
  readonly layout: "linear" | "conv1d";
}

/** The contents of a Hugging Face `config.json`. */
export type ModelConfig = Readonly<Record<string, unknown>>;

export interface BuildOptions {
  readonly batch: number;
  readonly length: number;
  /** With labels the graph has the inputs `labels` i32[b,s] and `label_scale` f32[] and the output `loss`. */
  readonly labels: boolean;
  /** With a mask the graph has the input `attention_mask` i32[b,s]; without, every token is seen. */
  readonly mask: boolean;
  /** The dtype in which the model's file stores a tensor. */
  readonly weightTypes: (key: string) => DType;
  /** Takes warnings; without one they are dropped. */
  readonly sink?: DiagnosticSink;
}

/** What callers use when nothing else is said. */
export interface ModelDefaults {
  readonly modelType: string;
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  /** The longest sequence that the model was trained for. */
  readonly maximumLength: number;
  readonly beginToken?: number;
  /** Any of them ends a text. */
  readonly endTokens: readonly number[];
  readonly padToken?: number;
}

export interface ModelDescription {
  /** All named modules but the root, in `named_modules()` order. */
  readonly modules: readonly ModuleInfo[];
  readonly defaults: ModelDefaults;
}

/**
 * An operator-level graph with `site.*` nodes. Inputs: `input_ids` i32[b,s] and those that the options name. Outputs:
 * `logits` f32[b,s,vocabulary] and, with labels, `loss` f32[]: the sum of -log p over the counted labels, times `label_scale`.
 */
export interface BuiltModel extends ModelDescription {
  readonly graph: Graph;
}

/** One family of base models. Both functions throw a `MODEL-` error for configs that they cannot honour. */
export interface ModelFamily {
  readonly modelTypes: readonly string[];
  describe(config: ModelConfig, sink: DiagnosticSink): ModelDescription;
  build(config: ModelConfig, options: BuildOptions, sink: DiagnosticSink): Graph;
}
