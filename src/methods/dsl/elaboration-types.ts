/** What an elaboration is made from, what it says of the adapter's tensors, and what a site gives to a method and gets back. */
import type { Builder } from "../../ir/builder.ts";
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { AdapterTensor } from "../../program/index.ts";
import type { FieldValue } from "../fields.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import type { Site } from "../site.ts";
import type { Situation } from "../situation.ts";
import type { Value } from "./value.ts";

/** What is known of the base model, and of the batches that it is given. */
export interface BaseFacts {
  readonly modelType: string;
  /** Width of its hidden states; 0 where it is not known. */
  readonly hiddenWidth: number;
  /** It writes labels, behind an encoder that reads the text. */
  readonly encoderDecoder: boolean;
  /** Elements of all of its tensors; 0 where that is not known. */
  readonly elements: number;
  /** Samples of a batch and tokens of a row. */
  readonly samples: number;
  readonly length: number;
  /** Weights are bfloat16: regenerated projections are rounded as PEFT's are. */
  readonly bfloat16: boolean;
}

export const unknownBase: BaseFacts = {
  ...{ modelType: "", hiddenWidth: 0, encoderDecoder: false, elements: 0, samples: 1 },
  ...{ length: 1, bfloat16: false },
};

export interface ElaborationInput {
  readonly sites: readonly Site[];
  readonly situation: Situation;
  /** Resolved config fields of the whole adapter. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly sink: DiagnosticSink;
  readonly base?: BaseFacts;
  /** Names of the fields that the config held itself; default: all of them. */
  readonly present?: ReadonlySet<string>;
  /** Number of the first site's random streams: those of an expert lie apart from those of the others. */
  readonly firstStream?: number | undefined;
  /** Tensors of sites that are transposes of other sites' tensors: keys by their keys. */
  readonly tied?: ReadonlyMap<string, string>;
  /** Other adapters that it mixes, in their order. */
  readonly experts?: readonly Expert[];
}

export interface ElaboratedTensor extends AdapterTensor {
  /** Index of the site it belongs to; absent for tensors that the whole model shares. */
  readonly site?: number;
  /** Its file holds it in the dtype of the base's weight. */
  readonly storedAsBase?: boolean;
  /** Rows of the weight's table that it replaces. */
  readonly replaces?: readonly number[];
  /** Projected at the start of every training step. */
  readonly project: boolean;
}

/** What a site offers whose weight is not replaced, in the builder that the site's nodes go to. */
export interface AdditionOperands {
  /** The base's weight: an operator [out, in], of a prompt the table of token embeddings, or gains f32[out] of a norm. */
  readonly base?: number;
  readonly scalars: ScalarIds;
  /** Samples of the batch; absent where one W' for all is wanted. */
  readonly samples?: number;
  /** Of a prompt: tokens of a row without those that are put in front. */
  readonly length?: number;
  /** Of an attention: its names. Of a prompt: `labels`, i32[samples, length], as the batch has them. */
  readonly words?: ReadonlyMap<string, Value>;
}

/** What a site offers whose weight is replaced. */
export interface SiteOperands extends AdditionOperands {
  /** The running weight; see `base`. */
  readonly weight: number;
  readonly base: number;
  /** f32[out]; absent when the layer has none. */
  readonly bias?: number;
  /** The last hidden states f32[samples, tokens, width] of a first pass over the model, as a constant. */
  readonly hidden?: number;
  /** The pass is built that `hidden` comes from. */
  readonly firstPass?: boolean;
}

/** Another adapter that a method mixes. */
export interface Expert {
  /** Its resolved config, `peft_type` included. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** What it adds to the weight of the module at a path, as an operator [out, in]; undefined where it leaves the module as it is. */
  delta(path: string, builder: Builder, operands: SiteOperands): number | undefined;
}

/** The adapted weight, of the kind that the operand has, and the bias, when the layer has or gets one. */
export interface SiteResult {
  readonly weight: number;
  readonly bias?: number;
  /** f32[] that the site adds to the loss. */
  readonly loss?: number;
}
