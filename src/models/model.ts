/** What a base model tells about itself: its modules, in the order and with the names of transformers 5, and its graph. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";

/**
 * `prompt`: the place where virtual tokens come before the embeddings; `parameter`: a parameter of a module that is a matrix, or several; no
 * modules of transformers.
 */
export type ModuleKind = "linear" | "embedding" | "norm" | "attention" | "container" | "prompt" | "parameter";

/** One module of the base model, as `named_modules()` lists it. */
export interface ModuleInfo {
  /** Path in memory, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly kind: ModuleKind;
  /** Key of the weight in the base model's file. Tied modules have one key. */
  readonly weight?: string;
  /** Key of the bias in the base model's file. */
  readonly bias?: string;
  /** A module without a bias: the field of the config that, set to true, gives one to it and to all modules that name the field. */
  readonly biasField?: string;
  /** Width of the input (an embedding: its vocabulary). */
  readonly in?: number;
  /** Width of the output. */
  readonly out?: number;
  /**
   * How the file stores the weight: `linear` is [out, in], `conv1d` (GPT-2) is [in, out], `patches` (a convolution whose kernels do not
   * overlap) is [out, ...patch].
   */
  readonly layout: "linear" | "conv1d" | "patches";
  /** Files that lack its tensors have them in those of a layer at this path, weight and bias alike, as one of so many equal parts of the rows. */
  readonly slice?: { readonly path: string; readonly index: number; readonly of: number };
  /** Layout `patches`: [channels, height, width] of what one output looks at; `in` is their product. */
  readonly patch?: readonly number[];
  /** An attention: heads of its keys. `in` is the hidden width, `out` the width of all keys. */
  readonly keyHeads?: number;
  /** An attention: heads of keys that stand in front of its own, where they are not those of its keys. */
  readonly prefixHeads?: number;
  /** A parameter: its matrices, which stand below one another. */
  readonly matrices?: number;
  /** Tensors of the module beside weight and bias, by name. */
  readonly parameters?: Readonly<Record<string, ModuleParameter>>;
  /** It belongs to the head, and is drawn anew where a file lacks it. */
  readonly head?: FreshHead;
}

/** How the weight of a module of a head begins: normal numbers of this deviation, cut off at a multiple of it; a norm begins with ones. */
export interface FreshHead {
  readonly deviation: number;
  readonly cutoff?: number;
}

export interface ModuleParameter {
  /** Key in the base model's file. */
  readonly key: string;
  readonly shape: readonly number[];
  /** One matrix [out, in], or several beside one another [count, out, in], as which adapters can change it. */
  readonly matrices?: boolean;
  /** Keys of the tensors that files hold it in, one behind the other, where they have none of its own key. */
  readonly parts?: readonly string[];
}

/** Virtual tokens that an adapter puts in front: `tokens` before the embeddings, `keys` before the keys and values of every attention. */
export interface VirtualTokens {
  readonly tokens: number;
  readonly keys: number;
}

export const noVirtualTokens: VirtualTokens = { tokens: 0, keys: 0 };

/** The contents of a Hugging Face `config.json`. */
export type ModelConfig = Readonly<Record<string, unknown>>;

export interface BuildOptions {
  readonly batch: number;
  readonly length: number;
  /** Labels of a row, where a decoder reads them; as many as tokens unless given. */
  readonly labelLength?: number | undefined;
  /** With labels the graph has the inputs `labels` i32 (shape: see `ModelHead`) and `label_scale` f32[] and the output `loss`. */
  readonly labels: boolean;
  /** Of a model without a head: with it the graph has the output `pooled` f32[b, hidden]. */
  readonly pooling?: Pooling | undefined;
  /** With a mask the graph has the input `attention_mask` i32[b,s]; without, every token is seen. */
  readonly mask: boolean;
  /** Room for virtual tokens; none unless given. The graph is then for `tokens` + length positions, counted from `keys`. */
  readonly virtual?: VirtualTokens;
  /** The dtype in which the model's file stores a tensor. */
  readonly weightTypes: (key: string) => DType;
  /** Whether the model's file has a tensor; tells which of several spellings of its keys it uses. */
  readonly stored?: (key: string) => boolean;
  /** Keys of the tensors that the model's files hold, where they are known: there are no more layers than these tell of. */
  readonly keys?: readonly string[];
  /** Takes warnings; without one they are dropped. */
  readonly sink?: DiagnosticSink;
}

/** The heads of transformers' classes: `masked` gives tokens as `token` does, `none` is the model alone. */
export type HeadKind = "causal" | "decoder" | "token" | "masked" | "sequence" | "span" | "none";

/** How the name of the class ends for each head that a family has; the first is that of configs that name none. */
export type HeadNames = Readonly<Partial<Record<HeadKind, string>>>;

/** How hidden states become one vector of each row. */
export type Pooling = "mean" | "cls";

/** What a model without a head gives: its last hidden states f32[b, s, hidden], and what its own pooler makes of them, f32[b, hidden]. */
export interface HiddenStates {
  readonly hidden: number;
  readonly pooler?: number | undefined;
}

/**
 * What the logits are of.
 * - `causal`    logits [b, s, classes] of the next token; labels [b, s], unshifted
 * - `decoder`   logits [b, t, classes] of every label; labels [b, t], which a decoder reads shifted right
 * - `token`     logits [b, s, classes] of every token; labels [b, s]
 * - `sequence`  logits [b, classes] of a row; labels by `labels`
 * - `span`      logits [b, s, 2] of a text's first and last place; labels [b, 2], the places
 * - `none`      no logits, and no labels: hidden states [b, s, classes]
 */
export interface ModelHead {
  readonly kind: Exclude<HeadKind, "masked">;
  /** Classes of a label; of a causal model its tokens, of none the width of the hidden states. */
  readonly classes: number;
  /** Labels of a row, where they are not as many as its tokens: `decoder` alone. */
  readonly length?: number;
  /**
   * What the labels of a row are: one class [b], unless given; `numbers` [b, classes], or [b] where there is one, of which the logits are to be
   * near (mean squared error); `flags` [b, classes], ones for the classes that it is in. Of the last two all count.
   */
  readonly labels?: "numbers" | "flags";
}

/** What callers use when nothing else is said. */
export interface ModelDefaults {
  readonly modelType: string;
  readonly head: ModelHead;
  /** Tokens of the input; 0 for images. */
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  /** The longest sequence that the model was trained for. */
  readonly maximumLength: number;
  /** Longer sequences are no warning but an error: positions are learned. */
  readonly limitsLength?: boolean;
  readonly beginToken?: number;
  /** Any of them ends a text. */
  readonly endTokens: readonly number[];
  readonly padToken?: number;
}

/** An input of the graph beside `attention_mask` and `labels`. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: "i32" | "f32";
  /** Shape of one row; one number per token unless given. */
  readonly rowShape?: readonly number[];
  /** Whole numbers lie below it. */
  readonly limit?: number;
  /** What it holds where a batch lacks it; without, a batch must have it. */
  readonly fill?: number;
  /** What it holds, beside its numbers, at places that are padding. */
  readonly padding?: number;
  /** A number that every row has. */
  readonly inEveryRow?: number;
}

/** Token ids i32[b, s]. */
export const tokenInput = (vocabulary: number): ModelInput => ({ name: "input_ids", dtype: "i32", limit: vocabulary });

export interface ModelDescription {
  /** All named modules but the root, in `named_modules()` order. */
  readonly modules: readonly ModuleInfo[];
  readonly inputs: readonly ModelInput[];
  readonly defaults: ModelDefaults;
}

/**
 * An operator-level graph with `site.*` nodes. Inputs: those of the description and those that the options name. Outputs: `logits` f32
 * (shape: see `ModelHead`) and, with labels, `loss` f32[]: the sum of -log p over the counted labels, times `label_scale`. Without a head:
 * `hidden`, `pooler_output` and `pooled` (`finishHeadless`).
 */
export interface BuiltModel extends ModelDescription {
  readonly graph: Graph;
}
