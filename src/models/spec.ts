/** A decoder as data: what one family of base models, with one config, is made of. `stack.ts` walks it. */
import type { Activation } from "./activation.ts";
import type { Bias, NormSpec } from "./layers.ts";
import type { Names } from "./module.ts";
import type { RopeSettings } from "./rope-config.ts";
import type { RouterSpec } from "./router.ts";

export type AttentionRole = "query" | "key" | "value" | "joint" | "output" | "query norm" | "key norm";

export interface AttentionSpec {
  /** With one part `joint`, one layer makes queries, keys and values. */
  readonly names: Names<AttentionRole>;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  /** Biases of queries, keys and values, and of the output. */
  readonly bias: readonly [inner: Bias, output: Bias];
  /** Weights are stored as [in, out]. */
  readonly transposed?: boolean;
  /** Rows of the joint layer: all queries, all keys, all values; or the same for one key head after the other. */
  readonly rows?: "all" | "by key head";
  /**
   * Norms of queries and keys: of every head, with one gain for all of them, a module for each, or a row of a table for each; or over all heads at once.
   */
  readonly norms?: NormSpec & { readonly heads: "one gain" | "modules" | "rows" | "at once" };
  /** Factor of the scores. */
  readonly scale: number;
  /** Scores are bent towards +-cap. */
  readonly cap?: number;
  /** A position sees itself and what lies fewer places before it. */
  readonly window?: number | undefined;
  /** Name of the rope; undefined where nothing turns. */
  readonly rope?: string | undefined;
  /** Adapters cannot put keys in front of its own. */
  readonly closed?: boolean;
}

/** `gate` gates `up`; `joint` is both in one layer, the gate first. Without a gate, `up` is activated. */
export type MlpRole = "gate" | "up" | "joint" | "down";

export interface MlpSpec {
  readonly names: Names<MlpRole>;
  readonly inner: number;
  readonly activation: Activation;
  readonly bias: Bias;
  readonly transposed?: boolean;
}

/** `shared` is an MLP that all tokens go to as well, weighted by its gate. */
export type MoeRole = "router" | "experts" | "shared" | "shared gate";

/** MLPs with a gate, of which a router takes some for every token. */
export interface MoeSpec extends RouterSpec {
  readonly names: Names<MoeRole>;
  readonly inner: number;
  readonly activation: Activation;
  /** Names of an expert's layers in files that hold each by itself. */
  readonly stored: Readonly<Record<"gate" | "up" | "down", string>>;
  readonly shared?: MlpSpec;
}

/** A norm stands before a part of the layer, behind it, or behind the sum with the stream. Layers of the MLP may stand without a module around them. */
export type LayerRole = "attention" | "mlp" | MlpRole | `${"before" | "after" | "sum"} ${"attention" | "mlp"}`;

export interface LayerSpec {
  readonly names: Names<LayerRole>;
  readonly norm: NormSpec;
  readonly attention: AttentionSpec;
  readonly mlp: MlpSpec | MoeSpec;
  /** Attention and MLP read the same stream, and are added to it together. Without a norm of its own the MLP reads what attention does. */
  readonly parallel?: boolean;
  /** Factor of what is added to the stream. */
  readonly residualScale?: number;
}

export type DecoderRole =
  | "embedding"
  | "embedding norm"
  | "positions"
  | "project in"
  | "layers"
  | "norm"
  | "project out"
  | "rope";

export interface DecoderSpec {
  readonly modelType: string;
  readonly vocabulary: number;
  readonly hidden: number;
  readonly maximumLength: number;
  readonly names: {
    /** Of the decoder: modules from the root, the last one holds the parts. */
    readonly path: readonly string[];
    readonly parts: Names<DecoderRole>;
    readonly head: string;
    /** A classifier of tokens; `score` unless given, as that of rows is for all. */
    readonly tokenClassifier?: string;
    /** What stands in the place of the first module of `path` in models that find spans. */
    readonly aboveSpans?: string | undefined;
  };
  readonly norm: NormSpec;
  /** Positions see what comes after them too; a window reaches as far on both sides. */
  readonly bothWays?: boolean;
  /** Of the table where it is not that of the stream. */
  readonly embeddingWidth?: number;
  /** Factor of embeddings; virtual tokens come with it. */
  readonly embeddingScale?: number;
  /** Factor of all that goes into the first layer. */
  readonly streamScale?: number;
  /** Learned positions, counted from `offset`: place by place, or over unpadded tokens alone. */
  readonly positions?: { readonly offset: number; readonly counted: boolean };
  readonly ropes: Readonly<Record<string, RopeSettings>>;
  readonly layers: readonly LayerSpec[];
  readonly head: {
    /** It has the table's weight. */
    readonly tied: boolean;
    readonly bias?: boolean;
    readonly scale?: number;
    /** Logits are bent towards +-cap. */
    readonly cap?: number | undefined;
  };
  /** Of models with experts that are trained to share tokens out equally: the factor of what the loss of next tokens gets for it. */
  readonly balance?: number | undefined;
}
