/** Where in a model, and of which line of a formula, nodes are. */
import type { Node } from "../ir/graph.ts";

/** What of a node says where it is. */
export type PlacedNode = Pick<Node, "scope" | "location">;

/** A module by the end of its path (`q_proj`), a layer by its number, or both. */
export interface ModelPlace {
  readonly site?: string | undefined;
  readonly layer?: number | undefined;
}

export function isAt({ scope = "" }: PlacedNode, { site, layer }: ModelPlace): boolean {
  const names = scope.split(".");
  const path = site?.split(".") ?? [];
  const inSite = names.some((_name, i) => path.every((name, at) => names[i + at] === name));
  return (site === undefined || inSite) && (layer === undefined || names.includes(String(layer)));
}

export const isEverywhere = ({ site, layer }: ModelPlace): boolean => site === undefined && layer === undefined;

/** A module's path behind the number of its layer. */
const siteOf = (scope: string): string => scope.replace(/^.*\.\d+$/, "layer").replace(/^.*\.\d+\./, "");

/** The line of a formula that a node computes, `file:line`, or nothing. */
export const lineOf = ({ location }: PlacedNode): string =>
  location === undefined ? "" : `${location.file}:${location.line}`;

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)].filter((text) => text !== "");

/** Modules without numbers of layers, from their paths. */
export const sitesOf = (paths: readonly string[]): string[] => distinct(paths.map(siteOf));

/** Paths of the modules that nodes belong to. */
export const pathsOf = (nodes: readonly PlacedNode[]): string[] => distinct(nodes.map(({ scope = "" }) => scope));

/** Lines of formulas that nodes compute. */
export const linesOf = (nodes: readonly PlacedNode[]): string[] => distinct(nodes.map(lineOf));

/** Two lists without what both have twice. */
export const joined = (before: readonly string[] = [], more: readonly string[]): string[] =>
  distinct([...before, ...more]);
