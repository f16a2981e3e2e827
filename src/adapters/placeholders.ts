/** Operands of what a method puts in front or adds, for graphs that only tell how large that is. */
import type { Builder } from "../ir/builder.ts";
import { type AdditionOperands, absent, operatorValue, tensorValue } from "../methods/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import { scalarPorts, siteWeight } from "../passes/site-operands.ts";

/** Operands of the right types: zeros, but for the labels of a batch. */
export function placeholders(
  builder: Builder,
  { kind, keyHeads: heads = 1, ...module }: ModuleInfo,
  samples = 1,
  length = 1,
): AdditionOperands {
  const [width, out] = [module.in!, module.out!];
  const zeros = (...shape: number[]): number => builder.constant(0, shape);
  const scalars = scalarPorts(builder);
  if (kind === "prompt") {
    const labels = tensorValue(builder.port("labels", "input", "i32", [samples, length]));
    const base = siteWeight(builder, "embedding", zeros(width, out));
    return { base, samples, length, words: new Map([["labels", labels]]), scalars };
  }
  const layer = operatorValue(builder.dense(zeros(out, width)));
  const words = new Map([
    ["queries", tensorValue(zeros(1, 1, heads, 1, out / heads))],
    ...["Wk", "Wv"].map((name) => [name, layer] as const),
    ...["bk", "bv", "context", "output"].map((name) => [name, absent] as const),
  ]);
  return { words, scalars };
}
