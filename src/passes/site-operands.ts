/** What the adapters of sites are given. */
import type { Builder } from "../ir/builder.ts";
import type { AdditionOperands, SiteOperands } from "../methods/index.ts";

/** What an adapter puts in front of or adds to what a prompt or an attention computes, by the target's name. */
export type SiteAdditions = (builder: Builder, operands: AdditionOperands) => ReadonlyMap<string, number>;

export function scalarPorts(builder: Builder): SiteOperands["scalars"] {
  return {
    seed: builder.port("seed", "input", "u32", []),
    step: builder.port("step", "input", "u32", []),
    sampleOffset: builder.port("sample_offset", "input", "u32", []),
    pass: builder.port("pass", "input", "u32", []),
    training: builder.port("training", "input", "f32", []),
  };
}

export type SiteKind = "linear" | "embedding" | "norm" | "prompt";

/** The weight as methods see it: an operator [out, in], or the gains of a norm. */
export function siteWeight(builder: Builder, kind: SiteKind, tensor: number): number {
  if (kind === "norm") return tensor;
  const operator = builder.dense(tensor);
  return kind === "linear" ? operator : builder.add("op.transpose", [operator]);
}
