/** A transformer as data: what one family of base models, with one config, is made of. `stack.ts` walks it. */
import type { Activation } from "./activation.ts";
import type { DistanceSpec } from "./distances.ts";
import type { Bias, NormSpec } from "./layers.ts";
import type { FreshHead } from "./model.ts";
import type { Names } from "./module.ts";
import type { RopeSettings } from "./rope-config.ts";
import type { RouterSpec } from "./router.ts";
import type { ScoreRole, ScoreSpec } from "./scores.ts";
import type { PositionSpec } from "./sequence.ts";

export type AttentionRole = "query" | "key" | "value" | "joint" | "output" | "query norm" | "key norm" | ScoreRole;

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
  readonly norms?: NormSpec & {
    readonly heads: "one gain" | "modules" | "rows" | "at once";
    /** They come behind the rotation. */
    readonly behindRope?: boolean;
  };
  /** Queries, keys and values stay within +-clip. */
  readonly clip?: number | undefined;
  /** Factor of the scores. */
  readonly scale: number;
  /** Queries grow with their positions: by 1 + beta ln(1 + floor(position / original)). */
  readonly growth?: { readonly beta: number; readonly original: number };
  /** Scores are bent towards +-cap. */
  readonly cap?: number;
  /** What is added to the scores. */
  readonly scores?: ScoreSpec;
  /** A position sees itself and what lies fewer places before it. */
  readonly window?: number | undefined;
  /** Name of the rope; undefined where nothing turns. */
  readonly rope?: string | undefined;
  /** Adapters cannot put keys in front of its own. */
  readonly closed?: boolean;
  /** Keys in front of its own are of every head of queries: transformers keeps them so. */
  readonly repeatsKeys?: boolean;
  /** Of these alone: scores of keys that are not seen have no gradient, not even in rows that see nothing. */
  readonly replaces?: boolean;
}

/** `gate` gates `up`; `joint` is both in one layer, the gate first. Without a gate, `up` is activated. */
export type MlpRole = "gate" | "up" | "joint" | "down";

export interface MlpSpec {
  readonly names: Names<MlpRole>;
  readonly inner: number;
  readonly activation: Activation;
  readonly bias: Bias;
  readonly transposed?: boolean;
  /** Name of the layer in files that has the rows of the gate, then those of the layer that it gates. */
  readonly stored?: string;
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

/** `cross` is an attention to what an encoder made. */
export type LayerPart = "attention" | "cross" | "mlp";

/**
 * A norm stands before a part of the layer, behind it, or behind the sum with the stream; factors of every entry behind all but the sum. The
 * output of an attention, and the layers of the MLP, may stand without a module around them.
 */
export type LayerRole =
  | LayerPart
  | MlpRole
  | "attention output"
  | `${"before" | "after" | "scale" | "sum"} ${LayerPart}`;

export interface LayerSpec {
  readonly names: Names<LayerRole>;
  readonly norm: NormSpec;
  readonly attention: AttentionSpec;
  readonly cross?: AttentionSpec;
  readonly mlp: MlpSpec | MoeSpec;
  /** Attention and MLP read the same stream, and are added to it together. Without a norm of its own the MLP reads what attention does. */
  readonly parallel?: boolean;
  /** Factor of what is added to the stream. */
  readonly residualScale?: number;
}

export type StackRole =
  | "embedding"
  | "embedding norm"
  | "positions"
  | "token types"
  | "image"
  | "project in"
  | "layers"
  | "norm"
  | "project out"
  | "pooler"
  | "distances"
  | "score table"
  | "distance norm"
  | "rope";

/** Images in the place of tokens: patches of them, behind a class token. */
export interface ImageSpec {
  readonly channels: number;
  readonly patch: number;
  /** Patches along one side of the image. */
  readonly side: number;
  /** Tokens behind that of the class which are the same for all images. */
  readonly registers?: number;
}

/** A row of layers on one stream of hidden states. */
export interface StackSpec {
  readonly modelType: string;
  /** Tokens; 0 of images. */
  readonly vocabulary: number;
  readonly hidden: number;
  readonly maximumLength: number;
  readonly names: {
    /** Of the stack: modules from the root, the last one holds the parts. */
    readonly path: readonly string[];
    readonly parts: Names<StackRole>;
    /** What stands in the place of the first module of `path` in models that find spans. */
    readonly aboveSpans?: string | undefined;
  };
  readonly norm: NormSpec;
  /** Positions see what comes after them too; a window reaches as far on both sides. */
  readonly bothWays?: boolean;
  /** Padding has embeddings of zeros, and sees nothing. */
  readonly blindPadding?: boolean;
  /** What is read, where it is no text. */
  readonly image?: ImageSpec;
  /** Of the table where it is not that of the stream. */
  readonly embeddingWidth?: number;
  /** Where the layer stands that brings embeddings to the stream's width: behind the table, the sum of all embeddings, or its norm. */
  readonly projection?: { readonly after: "table" | "sum" | "norm"; readonly bias: boolean };
  /** Factor of embeddings; virtual tokens come with it. */
  readonly embeddingScale?: number;
  /** Factor of all that goes into the first layer. */
  readonly streamScale?: number;
  /** Factor of all that comes out behind the last norm. */
  readonly outputScale?: number;
  /** Learned positions. */
  readonly positions?: PositionSpec;
  /** How many types of tokens have embeddings. */
  readonly tokenTypes?: number;
  /** Scores that all attentions share, in a table of the stack. */
  readonly scoreTable?: { readonly heads: number; readonly buckets: number };
  /** Embeddings of distances, which attentions share. */
  readonly distances?: DistanceSpec;
  readonly ropes: Readonly<Record<string, RopeSettings>>;
  readonly layers: readonly LayerSpec[];
  /** The width of what the pooler makes of a row; with numbers of its own where it is part of the head. */
  readonly pooler?: { readonly width: number; readonly fresh?: FreshHead };
  /** What stands for padding where the config names nothing. */
  readonly padToken?: number;
}

export interface DecoderSpec extends StackSpec {
  readonly names: StackSpec["names"] & {
    readonly head: string;
    /** A classifier of tokens; `score` unless given, as that of rows is for all. */
    readonly tokenClassifier?: string;
  };
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

/** An encoder over the tokens, and a decoder, shifted right, that attends to what the encoder made: over the labels, or over the tokens again. */
export interface EncoderDecoderSpec {
  /** Name of the table that both stacks have, which is no part of either. */
  readonly table: string;
  readonly encoder: StackSpec;
  /** Of models whose head reads more than what the encoder made. */
  readonly decoder?: StackSpec | undefined;
  /** What the decoder reads first, and in the place of labels that do not count. */
  readonly startToken: number;
  readonly padToken: number;
}
