/** The timeline as a file: what is the same in every layer stands there once, with the modules where it is so. */
import { remembered } from "../ir/remember.ts";
import type { CostNote } from "../passes/lower-operators.ts";
import type { TimelineEntry } from "../passes/manager.ts";
import type { Rewrite } from "../passes/rewrite.ts";

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

/** The places of every rule in the order in which it was applied there. A field that has nothing is left out. */
function placesByRule(rewrites: readonly Rewrite[]): Record<string, object[]> {
  const places = new Map<string, object[]>();
  for (const { rule, added, ...place } of rewrites)
    remembered(places, rule, () => []).push(added.length === 0 ? place : { ...place, added });
  return Object.fromEntries(places);
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

/** A place of a rule, and a field of a decision, is a line: passes, their fields, rules or decisions, and these. */
const depthOfLines = 4;

/** The text of `timeline.json`, which `docs/dump.md` describes. */
export function timelineFile(timeline: readonly TimelineEntry[]): string {
  const entries = timeline.map((entry) => ({
    ...entry,
    rewrites: placesByRule(entry.rewrites),
    notes: sharedNotes(entry.notes),
  }));
  return `${outlined(entries, depthOfLines)}\n`;
}
