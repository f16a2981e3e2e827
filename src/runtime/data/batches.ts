/**
 * Batches as a pure function of (examples, seed, step), so that a resumed run sees what an uninterrupted one would have seen. Every epoch is
 * a permutation of the examples; the last batch of an epoch is filled with empty rows.
 */
import { openUniform, threefry } from "../../ir/threefry.ts";
import { ignoredLabel } from "../../models/loss.ts";
import type { Example } from "./examples.ts";

/** Roles of tokens in `input_type_mask`: a label, which is learned where `labels` has it, and padding. */
export const labelRole = 4;
export const paddingRole = -1;

/** One micro-batch, padded on the right. */
export interface Batch {
  readonly input_ids: Int32Array;
  readonly labels: Int32Array;
  /** `labelRole` where an example has a token, else `paddingRole`; adapters with a context of examples read it. */
  readonly input_type_mask: Int32Array;
  /** Tokens that are not padding. */
  readonly tokens: number;
  /** [rows], where the examples have tasks; 0 for empty rows. */
  readonly task_ids?: Int32Array;
}

/** Fisher-Yates with draws that depend on (seed, epoch) only. */
function permutation(size: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_unused, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor(openUniform(threefry(seed, epoch, i, 0x5eed)[0]) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The examples of one batch of `size` rows and `length` places; missing examples are rows without labels. `tasks`: examples have tasks. */
export function padBatch(
  examples: readonly Example[],
  size: number,
  length: number,
  padToken: number,
  tasks = false,
): Batch {
  const input_ids = new Int32Array(size * length).fill(padToken);
  const labels = new Int32Array(size * length).fill(ignoredLabel);
  const input_type_mask = new Int32Array(size * length).fill(paddingRole);
  examples.forEach((example, row) => {
    input_ids.set(example.ids, row * length);
    labels.set(example.labels, row * length);
    input_type_mask.fill(labelRole, row * length, row * length + example.ids.length);
  });
  const tokens = examples.reduce((total, example) => total + example.ids.length, 0);
  const task_ids = Int32Array.from({ length: size }, (_unused, row) => examples[row]?.task ?? 0);
  return { input_ids, labels, input_type_mask, tokens, ...(tasks ? { task_ids } : {}) };
}

export interface BatchPlan {
  /** Rows of a micro-batch, and micro-batches of a step. */
  readonly batch: number;
  readonly accumulate: number;
  readonly length: number;
  readonly seed: number;
  readonly padToken: number;
  /** False keeps the order of the file. */
  readonly shuffle: boolean;
}

/** Which examples each step has. */
export class BatchOrder {
  readonly stepsPerEpoch: number;
  private epoch = -1;
  private order: Uint32Array = new Uint32Array();

  constructor(
    private readonly count: number,
    private readonly plan: Pick<BatchPlan, "batch" | "accumulate" | "seed" | "shuffle">,
  ) {
    this.stepsPerEpoch = Math.ceil(count / (plan.batch * plan.accumulate));
  }

  /** The places of the examples of every micro-batch of a step; the last of an epoch have fewer. */
  step(step: number): number[][] {
    const { batch, accumulate } = this.plan;
    const order = this.orderOf(Math.floor(step / this.stepsPerEpoch));
    const first = (step % this.stepsPerEpoch) * batch * accumulate;
    return Array.from({ length: accumulate }, (_unused, micro) => {
      const start = first + micro * batch;
      return [...order.subarray(start, start + batch)];
    });
  }

  private orderOf(epoch: number): Uint32Array {
    if (epoch !== this.epoch) {
      const { seed, shuffle } = this.plan;
      this.order = shuffle
        ? permutation(this.count, seed, epoch)
        : Uint32Array.from(new Uint32Array(this.count).keys());
      this.epoch = epoch;
    }
    return this.order;
  }
}

export class Batches {
  private readonly order: BatchOrder;
  private readonly tasks: boolean;

  constructor(
    private readonly examples: readonly Example[],
    private readonly plan: BatchPlan,
  ) {
    this.tasks = examples.some(({ task }) => task !== undefined);
    this.order = new BatchOrder(examples.length, plan);
  }

  get stepsPerEpoch(): number {
    return this.order.stepsPerEpoch;
  }

  /** The micro-batches of a step, step 0 first. */
  step(step: number): Batch[] {
    const { batch, length, padToken } = this.plan;
    return this.order.step(step).map((chosen) => {
      const rows = chosen.map((i) => this.examples[i]!);
      return padBatch(rows, batch, length, padToken, this.tasks);
    });
  }
}
