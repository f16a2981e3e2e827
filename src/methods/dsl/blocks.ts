/** From `on` blocks as they are written to one list of items per kind of site. */
import type { Item, MethodAst, OnItem, Place, SiteBlock } from "./ast.ts";

/**
 * Items of the whole method, and its blocks. Several `on` blocks may name one kind: their items add up in the order of the text, so that
 * formulas that kinds share are written once. `method m on linear { ... }` is a method whose targets all stand in one block.
 */
export function arranged(
  kinds: OnItem["siteKinds"],
  all: readonly Item[],
  at: Place,
): Pick<MethodAst, "items" | "blocks"> {
  const written = all.filter((item): item is OnItem => item.kind === "on");
  const rest = all.filter((item) => item.kind !== "on");
  if (kinds.length === 0) return { items: rest, blocks: merged(written) };
  const targets = rest.filter((item) => item.kind === "target");
  const own: OnItem = { kind: "on", siteKinds: kinds, tied: false, backwards: false, items: targets, at };
  return { items: rest.filter((item) => item.kind !== "target"), blocks: merged([own, ...written]) };
}

function merged(written: readonly OnItem[]): SiteBlock[] {
  const blocks = new Map<string, SiteBlock>();
  for (const { siteKinds, from, tied, backwards, items } of written) {
    for (const { name, at } of siteKinds) {
      const key = `${name} ${from ?? ""}`;
      const before = blocks.get(key);
      blocks.set(key, {
        siteKind: name,
        ...(from === undefined ? {} : { from }),
        tied: tied || (before?.tied ?? false),
        backwards: backwards || (before?.backwards ?? false),
        items: [...(before?.items ?? []), ...items],
        at: before?.at ?? at,
      });
    }
  }
  return [...blocks.values()];
}
