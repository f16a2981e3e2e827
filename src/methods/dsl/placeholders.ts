/** Operands of the right types for graphs that are thrown away: they tell what a site would need, and how large what it makes is. */
import type { Builder } from "../../ir/builder.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import type { Site } from "../site.ts";
import type { BaseFacts, SiteOperands } from "./elaboration-types.ts";
import type { BuildScope } from "./scope.ts";
import { absent, operatorValue, tensorValue } from "./value.ts";

/** Numbers of a run for graphs that are given none of them, but for a seed: all of them are `value`. */
export function constantScalars(builder: Builder, value: number, given?: number): ScalarIds {
  const [same, training] = [builder.constant(value, [], "u32"), builder.constant(value)];
  return { seed: given ?? same, step: same, sampleOffset: same, pass: same, training };
}

/** The base's weight, an operator [out, in] or the gains of a norm, and its bias. */
export function placeholderBase(builder: Builder, site: Site): { weight: number; bias?: number } {
  const port = (name: string, ...shape: number[]): number => builder.port(name, "weight", "f32", shape);
  const weight = site.kind === "norm" ? port("weight", site.out) : builder.dense(port("weight", site.out, site.in));
  return { weight, bias: site.bias === undefined ? undefined : port("bias", site.out) };
}

/** What a site gives to a method. Of a batch it says nothing where one W' for all samples is wanted. */
export function placeholderOperands(
  builder: Builder,
  site: Site,
  { samples, length }: BaseFacts,
): Omit<BuildScope, "tensor"> & Pick<SiteOperands, "scalars"> {
  const [scalars, { weight, bias }] = [constantScalars(builder, 1), placeholderBase(builder, site)];
  if (site.kind === "prompt") {
    const labels = tensorValue(builder.port("labels", "input", "i32", [samples, length]));
    return { builder, scalars, base: weight, samples, length, words: new Map([["labels", labels]]) };
  }
  if (site.kind !== "attention") return { builder, scalars, weight, base: weight, bias };
  const [heads, layer] = [site.keyHeads ?? 1, operatorValue(weight)];
  const words = new Map([
    ["queries", tensorValue(builder.constant(0, [1, 1, heads, 1, site.out / heads]))],
    ...["Wk", "Wv"].map((name) => [name, layer] as const),
    ...["bk", "bv", "context", "output"].map((name) => [name, absent] as const),
  ]);
  return { builder, scalars, words };
}
