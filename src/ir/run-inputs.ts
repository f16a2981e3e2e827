/**
 * The scalars that runs are fed beside their batch, one row each. Makers of graphs take their ports from here; who feeds them is told by the
 * types what a group wants (`Fed`), so that a new row does not compile until it is fed.
 */
import type { Builder } from "./builder.ts";
import type { DType } from "./types.ts";

/** `model`: read by the graphs of the model, the host's among them; `accumulate`, `update`: by the stages of these names. */
type Reader = "model" | "accumulate" | "update";

export const runInputs = {
  /** The session's, for all random numbers. */
  seed: { dtype: "u32", reader: "model" },
  /** Optimizer steps done. */
  step: { dtype: "u32", reader: "model" },
  /** Samples of the step in the micro-batches before. */
  sample_offset: { dtype: "u32", reader: "model" },
  /** The number of the pass, which decides what is drawn from a posterior. */
  pass: { dtype: "u32", reader: "model" },
  /** 1 in a training step, else 0. */
  training: { dtype: "f32", reader: "model" },
  /** 1 / the labels that count in the whole step; 0 where none does. */
  label_scale: { dtype: "f32", reader: "model" },
  /** The part of what sites add to the loss that falls to this micro-batch. */
  loss_share: { dtype: "f32", reader: "model" },
  /** 1 in the first micro-batch of a step, else 0. */
  first: { dtype: "f32", reader: "accumulate" },
  lr: { dtype: "f32", reader: "update" },
  /** 1 - beta1^t and sqrt(1 - beta2^t) of AdamW. */
  bias1: { dtype: "f32", reader: "update" },
  bias2: { dtype: "f32", reader: "update" },
  weight_decay: { dtype: "f32", reader: "update" },
  /** 0 for no clipping. */
  max_norm: { dtype: "f32", reader: "update" },
} as const satisfies Readonly<Record<string, { readonly dtype: DType; readonly reader: Reader }>>;

type Table = typeof runInputs;
export type RunInputName = keyof Table;

/** The numbers of every row that a reader wants. */
export type Fed<R extends Reader> = {
  readonly [Name in RunInputName as Table[Name]["reader"] extends R ? Name : never]: number;
};

/** The port of a row. */
export const runInput = (builder: Builder, name: RunInputName): number =>
  builder.port(name, "input", runInputs[name].dtype, []);

/** What graphs of the model are fed outside of steps. */
export const atRest: Fed<"model"> = {
  seed: 0,
  step: 0,
  sample_offset: 0,
  pass: 0,
  training: 0,
  label_scale: 0,
  loss_share: 1,
};

/** The numbers as inputs of a run. */
export const feed = (numbers: Readonly<Record<string, number>>): Readonly<Record<string, readonly [number]>> =>
  Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, [number]]));
