/** What details of several kinds are made of. */
import type { Errors } from "../../program/precision.ts";
import type { App } from "./app.ts";
import type { Cost } from "./costs.ts";
import { type Child, h } from "./dom.ts";
import { percent, ratio, time } from "./format.ts";
import type { PageNode } from "./model.ts";

export const facts = (entries: readonly (readonly [string, Child])[]): HTMLElement =>
  h("dl", { class: "facts" }, ...entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** What was measured, and how near it came to what the device reaches. */
export const timeFacts = (cost: Pick<Cost, "ms" | "leastMs"> | undefined): (readonly [string, Child])[] =>
  cost === undefined || cost.ms === 0
    ? []
    : [["time", `${time(cost.ms)}, ${percent(cost.leastMs, cost.ms)} of what the device reaches`]];

/** How far it is from f64. */
export const errorFacts = (errors: Errors | undefined): (readonly [string, Child])[] =>
  errors === undefined
    ? []
    : [["error against f64", `${ratio(errors.error)}, of the kernel alone ${ratio(errors.own)}`]];

export const some = <T>(items: readonly T[], most: number, view: (item: T) => Node): HTMLElement =>
  h(
    "span",
    { class: "chips" },
    ...items.slice(0, most).map(view),
    items.length > most && h("span", { class: "soft" }, `+${items.length - most}`),
  );

/** The lines of the formula that nodes were written in. */
export function linesOf(app: App, nodes: readonly PageNode[]): HTMLElement {
  const lines = [...new Set(nodes.map(({ line }) => line).filter((line) => line !== ""))].sort();
  if (lines.length === 0) return h("p", { class: "soft" }, "No line of the formula: it is the base model's.");
  return h(
    "div",
    { class: "formula" },
    ...lines.map((line) =>
      h(
        "button",
        { type: "button", class: "formula-line", "data-ref": `line:${line}` },
        h("span", { class: "soft" }, line),
        ` ${app.program.lineText(line)}`,
      ),
    ),
  );
}
