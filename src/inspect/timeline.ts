/** The timeline as a file: what is the same in every layer stands there once, with the modules where it is so. */
import { remembered } from "../ir/remember.ts";
import type { CostNote } from "../passes/lower-operators.ts";
import type { TimelineEntry } from "../passes/manager.ts";

/** A decision with the modules where it was the same, at the same costs; the names in `terms` are those of the first. */
export interface SharedNote extends Omit<CostNote, "scope"> {
  readonly scopes: readonly string[];
}

/** Names of matrices have the layer in them, so that terms are compared by their sizes. */
const withoutNames = (field: string, value: unknown): unknown => (field === "what" ? undefined : value);

/**
 * Decisions that are equal but for the module as one. A module's first decisions come before its second ones, so that those of one module
 * keep their order.
 */
export function sharedNotes(notes: readonly CostNote[]): SharedNote[] {
  const taken = new Map<string, number>();
  const rounds: Map<string, SharedNote & { readonly scopes: string[] }>[] = [];
  for (const { scope, ...note } of notes) {
    const nth = taken.get(scope) ?? 0;
    taken.set(scope, nth + 1);
    rounds[nth] ??= new Map();
    const shared = remembered(rounds[nth], JSON.stringify(note, withoutNames), () => ({ scopes: [], ...note }));
    shared.scopes.push(scope);
  }
  return rounds.flatMap((round) => [...round.values()]);
}

/** JSON whose values are on lines of their own down to a depth, and on one line below it. */
function outlined(value: unknown, depth: number, indent = ""): string {
  if (depth === 0 || typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent} `;
  const line = (own: unknown, key = ""): string => `${inner}${key}${outlined(own, depth - 1, inner)}`;
  const isList = Array.isArray(value);
  const lines = isList
    ? value.map((own: unknown) => line(own))
    : Object.entries(value).flatMap(([key, own]) => (own === undefined ? [] : [line(own, `${JSON.stringify(key)}: `)]));
  const [open, close] = isList ? "[]" : "{}";
  return lines.length === 0 ? `${open}${close}` : `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}

/** A rewrite and a decision are a line: passes, their fields, and these. */
const depthOfLines = 3;

/** The text of `timeline.json`, which `docs/dump.md` describes. */
export function timelineFile(timeline: readonly TimelineEntry[]): string {
  const entries = timeline.map((entry) => ({
    ...entry,
    // What has added nothing says so by leaving it out.
    rewrites: entry.rewrites.map(({ added, ...place }) => (added.length === 0 ? place : { ...place, added })),
    notes: sharedNotes(entry.notes),
  }));
  return `${outlined(entries, depthOfLines)}\n`;
}
