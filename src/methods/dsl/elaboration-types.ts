/** What an elaboration is made from, and what it says of the adapter's tensors. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { AdapterTensor } from "../../program/index.ts";
import type { FieldValue } from "../fields.ts";
import type { Expert } from "./operands.ts";
import type { MethodSite } from "./scope.ts";

export interface ElaborationInput {
  readonly sites: readonly MethodSite[];
  /** Whether the program trains: projections happen in a stage of their own instead of on a copy. */
  readonly train: boolean;
  /** Whether dropout and relaxed gates are drawn; default: as `train`. */
  readonly sampling?: boolean;
  /** Whether weights are drawn from a posterior, as predictions want them; no unless given. */
  readonly predicting?: boolean;
  /** The program never trains: what its file holds projected is projected. */
  readonly fixed?: boolean;
  /** Resolved config fields of the whole adapter. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly sink: DiagnosticSink;
  /** `model_type` of the base's config. */
  readonly modelType?: string;
  /** Names of the fields that the config held itself; default: all of them. */
  readonly present?: ReadonlySet<string>;
  /** The adapter's tensors come from a file. */
  readonly loaded?: boolean;
  /** See `ModelScope`; yes unless given. */
  readonly encoder?: boolean;
  readonly initialTokens?: readonly number[] | undefined;
  /** The base weights are bfloat16: regenerated projections are rounded as PEFT's are. */
  readonly bfloat16?: boolean;
  /** See `ModelScope`. */
  readonly padding?: number | undefined;
  readonly hiddenWidth?: number | undefined;
  /** Elements of the base model. */
  readonly baseElements?: number | undefined;
  /** Samples of a batch and tokens of a row; 1 unless given. */
  readonly samples?: number | undefined;
  readonly length?: number | undefined;
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
