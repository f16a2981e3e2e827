/** Passes: what each did to a stage, and its rewrites one by one, before and after. */

import type { PassRecord } from "../report-types.ts";
import type { App, View } from "./app.ts";
import { type Child, h, number, numberHead, table } from "./dom.ts";
import { shortPath } from "./format.ts";
import { snippets } from "./snippets.ts";

const keyOf = ({ stage, pass }: PassRecord): string => `${stage}.${pass}`;

function passesTable(app: App, chosen: PassRecord | undefined): HTMLElement {
  const { passes } = app.program.data;
  return table(
    ["stage", "pass", numberHead("ms"), numberHead("nodes"), numberHead("change"), "rules"],
    passes.map((own) => {
      const change = own.after - own.before;
      const isSame = change === 0 && Object.keys(own.hits).length === 0;
      const choose = (rule: string) => () => app.go({ options: { pass: keyOf(own), rule, hit: "" } });
      return h(
        "tr",
        { class: isSame ? "soft" : own === chosen ? "is-chosen" : "" },
        h("td", {}, own.stage),
        h("td", {}, own.pass),
        number(own.milliseconds.toFixed(1)),
        number(own.after),
        number(isSame ? "=" : change > 0 ? `+${change}` : change),
        h(
          "td",
          {},
          h(
            "span",
            { class: "chips wrap" },
            ...Object.entries(own.hits).map(([rule, hits]) =>
              h("button", { type: "button", class: "chip", click: choose(rule) }, `${rule} × ${hits}`),
            ),
          ),
        ),
      );
    }),
  );
}

/** Rules that a pass applied, one after the other through all passes: what the arrows up and down go through. */
const stepsOf = (app: App): (readonly [pass: PassRecord, rule: string])[] =>
  app.program.data.passes.flatMap((pass) =>
    Object.keys(pass.hits)
      .filter((rule) => pass.rewrites.some((own) => own.rule === rule))
      .map((rule) => [pass, rule] as const),
  );

const key = (name: string, text: string, click: () => void): HTMLElement =>
  h("button", { type: "button", class: "tool", "data-key": name, title: name, click }, text);

/** A rewrite of a rule, of all that there are; those that look alike in several layers stand one behind the other. */
async function rewriteView(app: App, pass: PassRecord, rule: string): Promise<Child[]> {
  const { rules, texts } = app.program.data;
  const own = pass.rewrites
    .filter((rewrite) => rewrite.rule === rule)
    .flatMap((rewrite) => rewrite.places.map((place) => ({ rewrite, place })));
  const { doc = "", place: where = "" } = rules[rule] ?? {};
  const head = [
    h("h2", {}, `${rule} in ${pass.pass} of ${pass.stage}`),
    h("p", {}, h("code", {}, doc), h("span", { class: "soft" }, ` ${where}`)),
  ];
  const at = Math.min(own.length - 1, Number(app.state.options.hit ?? 0));
  const shown = own[at];
  if (shown === undefined) return head;
  const go = (by: number) => () => app.go({ options: { hit: String((at + by + own.length) % own.length) } });
  const steps = stepsOf(app);
  const step = (by: number) => () => {
    const now = steps.findIndex(([of, name]) => of === pass && name === rule);
    const [next, name] = steps[(now + by + steps.length) % steps.length]!;
    app.go({ options: { pass: keyOf(next), rule: name, hit: "" } });
  };
  const [scope, ids] = shown.place;
  return [
    ...head,
    h(
      "div",
      { class: "tools" },
      key("ArrowLeft", "‹ previous", go(-1)),
      h("span", {}, `${at + 1} of ${own.length}`),
      key("ArrowRight", "next ›", go(1)),
      key("ArrowUp", "rule above", step(-1)),
      key("ArrowDown", "rule below", step(1)),
      h("span", { class: "soft" }, shortPath(texts[scope] ?? "")),
    ),
    await snippets(texts, shown.rewrite, ids),
  ];
}

export const passesView: View = {
  name: "passes",
  title: "Passes",
  options: ["pass", "rule", "hit"],
  async show(app) {
    const { pass, rule = "" } = app.state.options;
    const { passes } = app.program.data;
    const chosen = passes.find((own) => keyOf(own) === pass);
    return h(
      "section",
      { "aria-label": "Passes", class: "passes" },
      ...(chosen === undefined
        ? [h("p", { class: "soft" }, "Choose a rule to see what it changed.")]
        : await rewriteView(app, chosen, rule)),
      passesTable(app, chosen),
    );
  },
};
