/** What a stream of batches is, whatever it is made of. */
import type { Batch } from "./batches.ts";
import type { DataReport } from "./fit.ts";

/** A batch that may carry a mask and token types, or images in place of tokens. */
export interface StreamBatch extends Omit<Batch, "input_ids" | "input_type_mask" | "labels"> {
  /** Numbers that logits are to be near are floats. */
  readonly labels?: Int32Array | Float32Array;
  readonly start_positions?: Int32Array;
  readonly end_positions?: Int32Array;
  readonly input_ids?: Int32Array;
  readonly pixel_values?: Float32Array;
  readonly attention_mask?: Int32Array;
  readonly token_type_ids?: Int32Array;
  readonly input_type_mask?: Int32Array;
}

export interface BatchStream {
  readonly batch: number;
  readonly length: number;
  /** Labels of a row, where they are not as many as its tokens. */
  readonly labelLength?: number | undefined;
  readonly mask: boolean;
  /** Absent for a ready batch, which has no epochs. */
  readonly stepsPerEpoch?: number;
  /** What of the examples is cut or dropped; absent for data that is none. */
  readonly report?: DataReport;
  /** The micro-batches of a step, step 0 first. */
  step(step: number): StreamBatch[];
}
