/** What the adapters of sites are given. */
import type { Builder } from "../ir/builder.ts";
import { runInput } from "../ir/run-inputs.ts";
import { sizeOf } from "../ir/types.ts";
import type { AdditionOperands, SiteOperands } from "../methods/index.ts";

/** What an adapter puts in front of or adds to what a prompt or an attention computes, by the target's name. */
export type SiteAdditions = (builder: Builder, operands: AdditionOperands) => ReadonlyMap<string, number>;

export function scalarPorts(builder: Builder): SiteOperands["scalars"] {
  return {
    seed: runInput(builder, "seed"),
    step: runInput(builder, "step"),
    sampleOffset: runInput(builder, "sample_offset"),
    pass: runInput(builder, "pass"),
    training: runInput(builder, "training"),
  };
}

export type SiteKind = "linear" | "embedding" | "norm" | "prompt" | "parameter";

/** Matrices [out, in] or [count, out, in] below one another: [count out, in]. */
function stacked(builder: Builder, tensor: number): number {
  const shape = builder.shape(tensor);
  return builder.reshape(tensor, [sizeOf(shape.slice(0, -1)), shape.at(-1)!]);
}

/** The weight as methods see it: an operator [out, in], or the gains of a norm. */
export function siteWeight(builder: Builder, kind: SiteKind, tensor: number): number {
  if (kind === "norm") return tensor;
  if (kind === "parameter") return builder.dense(stacked(builder, tensor));
  const operator = builder.dense(tensor);
  return kind === "linear" ? operator : builder.add("op.transpose", [operator]);
}
