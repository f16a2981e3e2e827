/** The parts of a dispatch: how several modules share a kernel, and with which sizes. */
import type { App } from "./app.ts";
import { nodeChip, siteChips } from "./chips.ts";
import { h, number, numberHead, table } from "./dom.ts";
import type { StageModel } from "./model.ts";

/** Whether a size word says more than where a tensor begins. */
export const isTelling = (word: string): boolean => !/_(per_)?begin(_\d+)?$/.test(word);

/** A row per size word, a column per part. Words that say where a tensor begins are shown where asked for. */
export function partsView({ program }: App, stage: StageModel, at: number): HTMLElement {
  const { parts, kernel } = stage.dispatches[at]!;
  const names = program.data.kernels.find(({ name }) => name === kernel)?.words ?? [];
  const rows = names.map((name, word) => ({ name, values: parts.map((part) => part.words[word] ?? 0) }));
  const named = rows.filter(({ name }) => isTelling(name));
  const others = rows.filter((row) => !named.includes(row));
  const heads = () => ["", ...parts.map((_part, i) => numberHead(`part ${i}`))];
  const view = (own: typeof rows): HTMLElement =>
    table(
      heads(),
      own.map(({ name, values }) =>
        h("tr", {}, h("td", {}, h("code", {}, name)), ...values.map((value) => number(value))),
      ),
    );
  const modules = table(heads(), [
    h(
      "tr",
      {},
      h("td", {}, "module"),
      ...parts.map(({ stored }) => {
        const scope = stage.nodes[stored[0] ?? -1]?.scope ?? "";
        return h("td", { class: "number" }, scope === "" ? "" : siteChips([scope]));
      }),
    ),
    h(
      "tr",
      {},
      h("td", {}, "stores"),
      ...parts.map(({ stored }) => h("td", { class: "number" }, ...stored.map((node) => nodeChip(stage.name, node)))),
    ),
    h("tr", {}, h("td", {}, "workgroups"), ...parts.map(({ workgroups }) => number(workgroups))),
  ]);
  return h(
    "div",
    {},
    modules,
    named.length > 0 && h("div", {}, h("p", { class: "soft" }, "Sizes"), view(named)),
    others.length > 0 && h("details", {}, h("summary", {}, `${others.length} other size words`), view(others)),
  );
}
