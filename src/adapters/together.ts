/**
 * Several adapters that are in use together. Every site gets the adapters that change it, one behind the other, each on the weight that those
 * before left: deltas add up, rotations and scales multiply. Ports of the adapter at place i carry the prefix `i:`.
 */

import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Elaboration, SiteResult } from "../methods/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import type { Attachment, SiteAdapter } from "../passes/attach.ts";
import type { AdapterInput, AdapterPlan } from "../program/index.ts";
import type { PlannedAdapter } from "./one.ts";

/** Before the names of the ports of the adapter at a place. */
export const activePrefix = (place: number): string => `${place}:`;

const conflict = (message: string, where: string): WebpeftError =>
  new WebpeftError("COMPILE-ACTIVE", { message, where, help: "use one of the adapters alone" });

/** Whether a node is made of another. */
function reaches(builder: Builder, from: number, to: number): boolean {
  const seen = new Set<number>();
  const open = [from];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === to) return true;
    // Nodes stand behind their inputs.
    if (id < to || seen.has(id)) continue;
    seen.add(id);
    open.push(...builder.node(id).inputs);
  }
  return false;
}

/** Adapters of one site in turn. Throws `COMPILE-ACTIVE` when one replaces what those before made (LN tuning's gains). */
const inTurn =
  (path: string, adapters: readonly SiteAdapter[]): SiteAdapter =>
  (builder, operands) => {
    let made: SiteResult = operands;
    const losses: number[] = [];
    for (const adapter of adapters) {
      const { bias, weight } = made;
      const { bias: _before, ...batch } = operands;
      const given = { ...batch, weight, ...(bias === undefined ? {} : { bias }) };
      const { loss, ...next } = adapter(builder, given);
      if (weight !== operands.weight && !reaches(builder, next.weight, weight))
        throw conflict("an adapter replaces what another one makes of this module", path);
      if (loss !== undefined) losses.push(loss);
      made = next;
    }
    return losses.length === 0 ? made : { ...made, loss: losses.reduce((a, b) => builder.plus(a, b)) };
  };

const prefixed =
  (place: number, adapter: SiteAdapter): SiteAdapter =>
  (builder, operands) =>
    builder.prefixed(activePrefix(place), () => adapter(builder, operands));

/** The tensors that train as a whole; no two adapters may have a copy of one. */
function copies(attachments: readonly Attachment[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const [place, { trained }] of attachments.entries()) {
    for (const [name, key] of trained) {
      if (found.has(name)) throw conflict("two adapters have a copy of this tensor", name);
      found.set(name, `${activePrefix(place)}${key}`);
    }
  }
  return found;
}

/** Layers that change as their embedding does under every adapter. */
function followers(attachments: readonly Attachment[]): Map<string, string> {
  const all = attachments.flatMap(({ follows }) => [...(follows ?? [])]);
  const agrees = ({ sites, follows }: Attachment, [path, embedding]: readonly [string, string]): boolean =>
    follows?.get(path) === embedding || (!sites.has(path) && !sites.has(embedding));
  return new Map(all.filter((ends) => attachments.every((attachment) => agrees(attachment, ends))));
}

/** Two adapters with values of their own for a row leave open which of them holds. Throws `COMPILE-ACTIVE`. */
function refuseOverlaps(replaced: readonly ReadonlyMap<string, readonly number[]>[]): void {
  const taken = new Map<string, Set<number>>();
  for (const [path, rows] of replaced.flatMap((adapter) => [...adapter])) {
    const before = taken.get(path) ?? new Set();
    const twice = [...new Set(rows)].filter((row) => before.has(row));
    if (twice.length > 0)
      throw conflict(
        `two adapters train the rows of tokens ${twice.join(", ")}; only disjoint token indices can be used together`,
        path,
      );
    taken.set(path, new Set([...before, ...rows]));
  }
}

/** What is attached for adapters that are in use together, in their order. `elaborations` are theirs. */
export function activeAttachment(
  planned: readonly PlannedAdapter[],
  elaborations: readonly Elaboration[],
  modules: readonly ModuleInfo[],
): Attachment {
  const attachments = planned.map((adapter, place) => adapter.attachment(elaborations[place]!));
  const virtual = attachments.findIndex(({ additions }) => (additions?.size ?? 0) > 0);
  if (virtual >= 0)
    throw conflict("virtual tokens cannot be used together with another adapter", planned[virtual]!.method.name);
  refuseOverlaps(planned.map((adapter, place) => adapter.replacedRows(elaborations[place]!)));
  const hidden = attachments.findIndex(({ readsHidden }) => readsHidden);
  if (hidden >= 0)
    throw conflict(
      "a method that reads hidden states cannot be used together with another adapter",
      planned[hidden]!.method.name,
    );
  const sites = new Map<string, SiteAdapter>();
  for (const { path, kind } of modules) {
    const here = [...attachments.keys()].filter((place) => attachments[place]!.sites.has(path));
    if (here.length === 0) continue;
    const order = here.every((place) => planned[place]!.method.isBackwards(kind)) ? here.reverse() : here;
    sites.set(
      path,
      inTurn(
        path,
        order.map((place) => prefixed(place, attachments[place]!.sites.get(path)!)),
      ),
    );
  }
  return { sites, trained: copies(attachments), follows: followers(attachments) };
}

/** What all of them read of a batch: one input of a name serves all, so its numbers lie below every limit. */
function commonInputs(plans: readonly AdapterPlan[]): AdapterInput[] {
  const found = new Map<string, AdapterInput>();
  for (const input of plans.flatMap(({ inputs }) => inputs)) {
    const before = found.get(input.name);
    const limit = Math.min(before?.limit ?? 2 ** 31, input.limit ?? 2 ** 31);
    found.set(input.name, { ...before, ...input, limit });
  }
  return [...found.values()];
}

/** One plan for all; its tensors and data carry the prefixes. It has no file. */
export function activePlan(plans: readonly AdapterPlan[]): AdapterPlan {
  const renamed = <T>(entries: Iterable<readonly [string, T]>, place: number): [string, T][] =>
    [...entries].map(([key, value]) => [`${activePrefix(place)}${key}`, value]);
  return {
    ...plans[0]!,
    peftType: plans.map(({ peftType }) => peftType).join("+"),
    method: plans.map(({ method }) => method).join("+"),
    source: plans.map(({ source }) => source).join("\n"),
    savedConfig: {},
    fields: {},
    tensors: plans.flatMap(({ tensors }, place) =>
      tensors.map((tensor) => ({ ...tensor, key: `${activePrefix(place)}${tensor.key}`, aliases: [], saved: false })),
    ),
    data: new Map(plans.flatMap(({ data }, place) => renamed(data, place))),
    inputs: commonInputs(plans),
    frozen: [],
    baseKeys: new Map(),
    sites: [...new Set(plans.flatMap(({ sites }) => sites))],
    projects: plans.some(({ projects }) => projects),
  };
}
