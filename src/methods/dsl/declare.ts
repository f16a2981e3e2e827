/**
 * What an adapter has is known before a site is built. What its formulas take from outside of a graph (see `Notes`) is found by building sites
 * that are alike once, in a graph that is thrown away.
 */
import type { Builder } from "../../ir/builder.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { Site } from "../site.ts";
import type { MethodAst, TensorItem } from "./ast.ts";
import { computedNode } from "./computed.ts";
import { evaluate } from "./evaluate.ts";
import { type BatchSize, placeholderOperands } from "./placeholders.ts";
import { newBias } from "./results.ts";
import type { BuildScope, Scope } from "./scope.ts";
import { usedPaths } from "./walk.ts";
import { siteNames } from "./words.ts";

/** What tells sites of one size apart. */
const ofSite = ["site.index", "site.path", "site.matches", "site.ends_with"];
/** What differs between the passes that a site is built for. */
const ofBatch = ["samples", "merging"];

/** Sites of which a method makes the same: the first of them stands for all. */
export function alikeSites(method: MethodAst, sites: readonly Site[]): (readonly Site[])[] {
  const used = usedPaths(method);
  const differ = ofSite.some((path) => used.has(path));
  const groups = new Map<string, Site[]>();
  for (const site of sites) {
    const { kind, from, fields, bias, keyHeads, patch, follower, index } = site;
    const parts = [kind, from, site.in, site.out, fields, bias === undefined, keyHeads, patch, follower === undefined];
    const key = differ ? String(index) : JSON.stringify(parts);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(site);
  }
  return [...groups.values()];
}

/** What a site is given in every kind of pass that it is built for. */
export function passes(
  builder: Builder,
  method: MethodAst,
  site: Site,
  experts: number,
  batch: BatchSize,
): Omit<BuildScope, "tensor">[] {
  const given = placeholderOperands(builder, site, batch);
  if (site.kind === "prompt" || site.kind === "attention") return [given];
  const delta = () => builder.dense(builder.constant(0, [site.out, site.in]));
  const merged = { ...given, experts: () => Array.from({ length: experts }, delta) };
  const batched = { ...merged, samples: batch.samples };
  const used = usedPaths(method);
  if (used.has("hidden")) return [{ ...batched, firstPass: true }, { ...merged, ...lastPass(builder, batch) }, merged];
  const isOfBatch = method.items.some(({ kind }) => kind === "input" || kind === "option");
  return isOfBatch || ofBatch.some((path) => used.has(path)) ? [batched, merged] : [batched];
}

/** What is known of the batch in a pass that has seen the hidden states of another one. */
export const lastPass = (builder: Builder, { samples, length, width }: BatchSize) => ({
  samples,
  hidden: builder.constant(0, [samples, length, width]),
});

/** Faults are told where a graph is built that somebody uses. */
export function tried(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
  }
}

/** A layer without bias takes any formula of b': here it is worked out as if there were a bias, so that a text has the same faults on all models. */
export function checkBias(
  site: Site,
  given: Omit<BuildScope, "tensor">,
  scopeOf: (site: Site, build: BuildScope) => Scope,
  port: (scope: Scope, item: TensorItem, builder: Builder) => number,
): void {
  const { bias: name } = siteNames[site.kind]!;
  if (name === undefined || site.bias !== undefined) return;
  const { builder } = given;
  const tensor = (item: TensorItem): number =>
    item.role === "computed" ? computedNode(scope, item) : port(scope, item, builder);
  const bias = builder.port("bias", "weight", "f32", [site.out]);
  const scope: Scope = scopeOf({ ...site, bias: "bias" }, { ...given, bias, tensor });
  const target = scope.block!.items.find((item) => item.kind === "target" && item.name === name);
  if (target?.kind === "target") newBias(scope, evaluate(scope, target.value), bias);
}
