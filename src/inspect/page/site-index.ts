/** The adapted modules: a row per name, a button per layer. */
import { chip, h } from "./dom.ts";
import { lastPart, layerOf } from "./format.ts";
import type { ProgramModel } from "./model.ts";

export function siteIndex({ sites }: ProgramModel): HTMLElement {
  const names = new Map<string, string[]>();
  for (const site of sites) names.set(lastPart(site), [...(names.get(lastPart(site)) ?? []), site]);
  const rows = [...names].map(([name, paths]) =>
    h(
      "div",
      { class: "site-row" },
      chip(`site:${name}`, name),
      h(
        "span",
        { class: "layers" },
        ...paths.map((path) => {
          const own = chip(`site:${path}`, lastPart(layerOf(path)) || "·");
          own.title = path;
          own.setAttribute("aria-label", path);
          return own;
        }),
      ),
    ),
  );
  return h("details", { open: true, class: "sites" }, h("summary", {}, "Modules with a formula"), ...rows);
}
