/** What a site gives to a method, and what it gets back. */
import type { Builder } from "../../ir/builder.ts";
import type { FieldValue } from "../fields.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import type { Value } from "./value.ts";

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
