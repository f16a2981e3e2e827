/** What the adapters of sites are given. */
import type { Builder } from "../ir/builder.ts";
import { runInput } from "../ir/run-inputs.ts";
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

export type SiteKind = "linear" | "embedding" | "norm" | "prompt";

/** The weight as methods see it: an operator [out, in], or the gains of a norm. */
export function siteWeight(builder: Builder, kind: SiteKind, tensor: number): number {
  if (kind === "norm") return tensor;
  const operator = builder.dense(tensor);
  return kind === "linear" ? operator : builder.add("op.transpose", [operator]);
}
