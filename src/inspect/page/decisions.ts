/** Decisions: what was compared where, by how much it was decided, and how many tokens would turn it over. */

import type { DecisionRecord } from "../report-types.ts";
import type { View } from "./app.ts";
import { siteChips } from "./chips.ts";
import { bar, h, number, numberHead, table } from "./dom.ts";
import { count } from "./format.ts";

/** A bound that stands for what cannot be done. */
const isImpossible = (cost: number): boolean => cost >= Number.MAX_VALUE;

/** How clear it was. */
function verdict({ decision, candidates }: DecisionRecord): string {
  const chosen = candidates[decision] ?? 0;
  const others = Object.entries(candidates).filter(([name]) => name !== decision);
  const next = Math.min(...others.map(([, cost]) => cost));
  if (others.length === 0 || isImpossible(next)) return "the only way";
  return next === chosen ? "equal, first taken" : `${(next / Math.max(1, chosen)).toFixed(2)} × cheaper`;
}

function flip({ flips }: DecisionRecord): string {
  if (flips === undefined) return "";
  if (flips.length === 0) return "no number of tokens";
  return flips
    .map(({ to, side, vectors }) => {
      const tokens = `${vectors.toLocaleString("en")} tokens`;
      return side === "from" ? `${to} from ${tokens} on` : `${to} below ${tokens}`;
    })
    .join(", ");
}

function candidatesView({ decision, candidates }: DecisionRecord): HTMLElement {
  const most = Math.max(...Object.values(candidates).filter((cost) => !isImpossible(cost)));
  return h(
    "div",
    {},
    ...Object.entries(candidates).map(([name, cost]) =>
      h(
        "div",
        { class: name === decision ? "chosen" : "soft" },
        bar(isImpossible(cost) ? 1 : cost / most),
        isImpossible(cost) ? `${name}: cannot be` : `${name} ${count(cost)}`,
      ),
    ),
  );
}

/** The products that costs are sums of. */
function termsView({ terms }: DecisionRecord): HTMLElement | undefined {
  const known = Object.entries(terms ?? {}).filter(([, own]) => own.length > 0);
  if (known.length === 0) return undefined;
  const rows = known.flatMap(([candidate, own]) =>
    own.map((term, at) =>
      h(
        "tr",
        {},
        h("td", {}, at === 0 ? h("b", {}, candidate) : ""),
        h("td", {}, term.what.split(".").slice(-3).join(".")),
        number(`${term.vectors} × ${term.out} × ${term.in}`),
        number(term.times),
        number(count(term.flops)),
      ),
    ),
  );
  return h(
    "details",
    {},
    h("summary", {}, "what it is a sum of"),
    table(["", "matrix", numberHead("vectors × out × in"), numberHead("products"), numberHead("flops")], rows),
  );
}

export const decisionsView: View = {
  name: "decisions",
  title: "Decisions",
  options: [],
  show({ program }) {
    const { decisions } = program.data;
    if (decisions.length === 0) return h("p", {}, "Nothing was compared: there was one way everywhere.");
    return h(
      "section",
      { "aria-label": "Decisions", class: "decisions" },
      h(
        "p",
        { class: "soft" },
        "Flops, forward and backward together where the stage trains; of values in chunks the bytes of the largest one.",
      ),
      table(
        ["stage", "for", numberHead("places"), "chosen", "costs", "how clear", "what would flip it"],
        decisions.map((own) =>
          h(
            "tr",
            {},
            h("td", { "data-head": "stage" }, own.stage),
            h("td", { "data-head": "for" }, siteChips(own.scopes)),
            h("td", { class: "number", "data-head": "places" }, own.scopes.length),
            h("td", { "data-head": "chosen" }, h("b", {}, own.decision)),
            h("td", { class: "nowrap", "data-head": "costs" }, candidatesView(own), termsView(own)),
            h("td", { class: "nowrap", "data-head": "how clear" }, verdict(own)),
            h("td", { "data-head": "flips" }, flip(own)),
          ),
        ),
      ),
    );
  },
};
