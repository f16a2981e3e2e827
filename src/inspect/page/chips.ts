/** Short names that select what they name. */
import { chip, h } from "./dom.ts";
import { lastPart, shortPath } from "./format.ts";

/** What modules of one kind have in common: their last name, or for layers what they are numbered in. */
export function groupOf(path: string): string {
  const parts = path.split(".");
  return parts.findLast((part) => !/^\d+$/.test(part)) ?? path;
}

/** Modules by their last name, each with the number of them: `q_proj × 30`. What stands in none has the empty name. */
export function siteChips(sites: readonly string[], most = 6): HTMLElement {
  const groups = new Map<string, string[]>();
  for (const site of sites) if (site !== "") groups.set(groupOf(site), [...(groups.get(groupOf(site)) ?? []), site]);
  const entries = [...groups];
  const chips = entries.slice(0, most).map(([name, paths]) => {
    const [first = "", ...others] = paths;
    const isEnd = others.length > 0 && paths.every((path) => lastPart(path) === name);
    const own = chip(`site:${isEnd ? name : first}`, others.length === 0 ? name : `${name} × ${paths.length}`);
    own.title = paths.map(shortPath).join("\n");
    return own;
  });
  const rest = entries.length - chips.length;
  const outside = sites.includes("") && h("span", { class: "soft" }, "outside of modules");
  return h("span", { class: "chips" }, ...chips, outside, rest > 0 && h("span", { class: "soft" }, `+${rest}`));
}

/** `mark` stands before ids of the program that this one is compared with. */
export const kernelChip = (name: string, mark = ""): HTMLElement => chip(`kernel:${mark}${name}`, name);

export const nodeChip = (stage: string, id: number, text = ""): HTMLElement =>
  chip(`node:${stage}/${id}`, `%${id}${text === "" ? "" : ` ${text}`}`);

export const siteChip = (site: string): HTMLElement => chip(`site:${site}`, shortPath(site));
