/**
 * Several adapters that are in use together. Every site gets the adapters that change it, one behind the other, each on the weight that those
 * before left: deltas add up, rotations and scales multiply. Ports of the adapter at place i carry its prefix.
 */
import type { Situation } from "../methods/index.ts";
import type { Attachment, SiteAdapter } from "../passes/attach.ts";
import { type AdapterPlan, placePrefix } from "../program/index.ts";
import { type Adapter, noAdapter } from "./adapter.ts";
import { blankPlan, commonInputs, joinedPorts, prefixedPlan } from "./plan.ts";
import { building, conflict, inTurn, prefixed } from "./site-adapter.ts";

/** An adapter that can be used together with others. */
export interface Part extends Adapter {
  /** Whether of several adapters the last is the first to change the weight of the module at a path. */
  isBackwards(path: string): boolean;
  /** Rows of tables that it replaces, by the path of every layer where it does. */
  readonly replacedRows: ReadonlyMap<string, readonly number[]>;
  plan(situations: readonly Situation[]): AdapterPlan;
}

/** One adapter of all, for inference and merging; it has no file and no beginning of its own. Throws `COMPILE-ACTIVE` where that cannot be. */
export function together(parts: readonly Part[]): Adapter {
  // Each has the sizes of its own file: what is padded is what adapters share that stand in for each other.
  const sized = (situation: Situation): Situation => ({ ...situation, padding: undefined });
  return {
    ...noAdapter,
    name: parts.map(({ name }) => name).join("+"),
    replaced: parts.flatMap(({ replaced }) => replaced),
    merges: true,
    attach: (situation) => attached(parts, sized(situation)),
    plan: (situations) => planned(parts.map((part) => part.plan(situations.map(sized)))),
  };
}

function attached(parts: readonly Part[], situation: Situation): Attachment {
  const attachments = parts.map((part) => part.attach(situation));
  const refuse = (is: (attachment: Attachment) => boolean | undefined, message: string): void => {
    const found = attachments.findIndex(is);
    if (found >= 0) throw conflict(message, parts[found]!.name);
  };
  refuse(({ additions }) => (additions?.size ?? 0) > 0, "virtual tokens cannot be used together with another adapter");
  refuseOverlaps(parts);
  refuse(
    ({ readsHidden }) => readsHidden,
    "a method that reads hidden states cannot be used together with another adapter",
  );
  const paths = new Set(attachments.flatMap(({ sites }) => [...sites.keys()]));
  const adapterAt = (path: string): SiteAdapter => {
    const here = [...attachments.keys()].filter((place) => attachments[place]!.sites.has(path));
    const order = here.every((place) => parts[place]!.isBackwards(path)) ? here.reverse() : here;
    const own = (place: number): SiteAdapter => building(path, attachments[place]!.sites.get(path)!);
    return inTurn(order.map((place) => prefixed(placePrefix(place), own(place))));
  };
  return {
    sites: new Map([...paths].map((path) => [path, adapterAt(path)])),
    trained: copies(attachments),
    follows: followers(attachments),
    asMerged: situation.purpose === "merge",
  };
}

/** The tensors that train as a whole; no two adapters may have a copy of one. */
function copies(attachments: readonly Attachment[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const [place, { trained }] of attachments.entries()) {
    for (const [name, key] of trained) {
      if (found.has(name)) throw conflict("two adapters have a copy of this tensor", name);
      found.set(name, `${placePrefix(place)}${key}`);
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
function refuseOverlaps(parts: readonly Part[]): void {
  const taken = new Map<string, Set<number>>();
  for (const [path, rows] of parts.flatMap(({ replacedRows }) => [...replacedRows])) {
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

/** One plan for all. */
const planned = (plans: readonly AdapterPlan[]): AdapterPlan => ({
  ...blankPlan,
  ...joinedPorts(plans.map((plan, place) => prefixedPlan(placePrefix(place), plan))),
  peftType: plans.map(({ peftType }) => peftType).join("+"),
  method: plans.map(({ method }) => method).join("+"),
  source: plans.map(({ source }) => source).join("\n"),
  fragments: plans.flatMap(({ fragments }) => fragments),
  ...commonInputs(plans),
  sites: [...new Set(plans.flatMap(({ sites }) => sites))],
  projects: plans.some(({ projects }) => projects),
  lacksEncoder: plans.some(({ lacksEncoder }) => lacksEncoder),
});
