/**
 * What an adapter has is known before a site is built. What its formulas take from outside of a graph (see `Notes`) is found by building sites
 * that are alike once, in a graph that is thrown away.
 */
import type { Builder } from "../../ir/builder.ts";
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { Site } from "../site.ts";
import { unreadParameters } from "./advice.ts";
import type { MethodAst, TensorItem } from "./ast.ts";
import type { BaseFacts } from "./elaboration-types.ts";
import { evaluate } from "./evaluate.ts";
import { building } from "./host-graphs.ts";
import { placeholderOperands } from "./placeholders.ts";
import { newBias } from "./results.ts";
import type { BuildScope, ModelScope, Scope } from "./scope.ts";
import { isEmpty, tensorsOf } from "./site-tensors.ts";
import type { Value } from "./value.ts";
import { targetsOf, usedPaths } from "./walk.ts";
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
    const { kind, from, fields, bias, keyHeads, prefixHeads, matrices, patch, followers, index } = site;
    const parts = [
      kind,
      from,
      site.in,
      site.out,
      fields,
      bias === undefined,
      keyHeads,
      prefixHeads,
      matrices,
      patch,
      followers === undefined,
    ];
    const key = differ ? String(index) : JSON.stringify(parts);
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(site);
  }
  return [...groups.values()];
}

/** What a site is given in every kind of pass that it is built for. */
export function passes(builder: Builder, model: ModelScope, site: Site): Omit<BuildScope, "tensor">[] {
  const { method, base, experts = [] } = model;
  const given = placeholderOperands(builder, site, base);
  if (site.kind === "prompt" || site.kind === "attention") return [given];
  const delta = () => builder.dense(builder.constant(0, [site.out, site.in]));
  const merged = { ...given, experts: () => experts.map(delta) };
  const batched = { ...merged, samples: base.samples };
  const used = usedPaths(method);
  if (used.has("hidden")) return [{ ...batched, firstPass: true }, { ...merged, ...lastPass(builder, base) }, merged];
  const isOfBatch = method.items.some(({ kind }) => kind === "input" || kind === "option");
  return isOfBatch || ofBatch.some((path) => used.has(path)) ? [batched, merged] : [batched];
}

/** What is known of the batch in a pass that has seen the hidden states of another one. */
export const lastPass = (builder: Builder, { samples, length, hiddenWidth }: BaseFacts) => ({
  samples,
  hidden: builder.constant(0, [samples, length, hiddenWidth]),
});

/** Faults are told where a graph is built that somebody uses; false where there was one. */
export function tried(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    return false;
  }
}

/** A layer without bias takes any formula of b': here it is worked out as if there were a bias, so that a text has the same faults on all models. */
export function checkBias(model: ModelScope, site: Site, given: Omit<BuildScope, "tensor">): void {
  const { bias: name } = siteNames[site.kind]!;
  if (name === undefined || site.bias !== undefined) return;
  const bias = given.builder.port("bias", "weight", "f32", [site.out]);
  const scope = building(model, { ...site, bias: "bias" }, { ...given, bias });
  const target = targetsOf(scope.block!).find((one) => one.name === name);
  if (target !== undefined) newBias(scope, evaluate(scope, target.value), bias);
}

/** Names of the ports that values are made of. */
export function portsOf(builder: Builder, values: readonly Value[]): ReadonlySet<string> {
  const [seen, ports] = [new Set<number>(), new Set<string>()];
  const waiting = values.flatMap((value) => (value.kind === "tensor" || value.kind === "operator" ? [value.id] : []));
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const { op, inputs, attributes } = builder.node(id);
    if (op === "port") ports.add(String(attributes.name));
    waiting.push(...inputs);
  }
  return ports;
}

/**
 * Warns METHOD-UNREAD of parameters that the text reads and that reach no target at any site, as D does in `b' = b + D .* b` where no layer has a
 * bias; `scopes` are those of sites that are not alike.
 */
export function warnOfUnreached(
  method: MethodAst,
  scopes: readonly Scope[],
  reached: ReadonlySet<string>,
  sink: DiagnosticSink,
): void {
  const place = ({ name, at }: TensorItem): string => `${name} ${at.line} ${at.column}`;
  const told = new Set(unreadParameters(method).map(({ item }) => place(item)));
  const params = scopes.flatMap((scope) =>
    tensorsOf(scope, "param").flatMap((item) => (isEmpty(scope, item) ? [] : [{ scope, item }])),
  );
  for (const { scope, item } of params) {
    const key = scope.siteKey(item.key!);
    if (reached.has(scope.model.tied?.get(key) ?? key)) told.add(place(item));
  }
  for (const { scope, item } of params) {
    if (told.has(place(item))) continue;
    told.add(place(item));
    const message = `${item.name} has no effect at any site: it does not train.`;
    const help = `What is for a bias is declared "when site.has_bias".`;
    const { where } = scope.error("METHOD-UNREAD", item.at, { message });
    sink.warn("METHOD-UNREAD", { message, where, help });
  }
}
