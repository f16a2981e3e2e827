/** What an elaboration is made from, and what it says of the adapter's tensors. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { AdapterTensor } from "../../program/index.ts";
import type { FieldValue } from "../fields.ts";
import type { Site } from "../site.ts";
import type { Situation } from "../situation.ts";
import type { Expert } from "./operands.ts";

/** What is known of the base model, and of the batches that it is given. */
export interface BaseFacts {
  readonly modelType: string;
  /** Width of its hidden states; 0 where it is not known. */
  readonly hiddenWidth: number;
  /** Elements of all of its tensors; 0 where that is not known. */
  readonly elements: number;
  /** Samples of a batch and tokens of a row. */
  readonly samples: number;
  readonly length: number;
  /** Weights are bfloat16: regenerated projections are rounded as PEFT's are. */
  readonly bfloat16: boolean;
}

export const unknownBase: BaseFacts = {
  ...{ modelType: "", hiddenWidth: 0, elements: 0, samples: 1, length: 1, bfloat16: false },
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
