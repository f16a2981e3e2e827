/** Passes: what each did to a stage, and its rewrites one by one, before and after. */

import type { PassRecord, RewriteRecord, SnippetNode } from "../report-types.ts";
import type { App, View } from "./app.ts";
import { type Child, h, number, numberHead, s, table } from "./dom.ts";
import { plural, shortPath } from "./format.ts";
import { laidOut } from "./layout-worker.ts";
import { panZoom } from "./pan-zoom.ts";

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

const marks = ["kept", "changed", "changed root"] as const;
const [width, height] = [150, 34] as const;

/** A neighbourhood, drawn; texts below it say the same. */
async function snippet(title: string, nodes: readonly SnippetNode[], kind: "before" | "after"): Promise<HTMLElement> {
  if (nodes.length === 0)
    return h("div", {}, h("h3", {}, title), h("p", { class: "soft" }, "Nobody needs it any more."));
  const places = new Map(nodes.map(([id], place) => [id, place]));
  const edges = nodes.flatMap(([, , , inputs], to) =>
    [...new Set(inputs)].flatMap((input) => {
      const from = places.get(input);
      return from === undefined ? [] : [[from, to] as const];
    }),
  );
  const layout = await laidOut({ sizes: nodes.map(() => [width, height] as const), edges, isUpwards: false });
  const svg = s(
    "svg",
    { class: `graph ${kind}`, role: "img", "aria-label": `${title}: ${plural(nodes.length, "node")}` },
    ...layout.edges.map((points) =>
      s("path", { class: "edge", d: points.map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${x},${y}`).join("") }),
    ),
    ...nodes.map(([id, name, type, , mark], at) =>
      s(
        "g",
        {
          class: `box ${marks[mark]}`,
          transform: `translate(${layout.boxes[at]!.x - width / 2},${layout.boxes[at]!.y - height / 2})`,
        },
        s("title", {}, `%${id} ${name} : ${type}`),
        s("rect", { width, height, rx: 5 }),
        s("text", { class: "box-title", x: 7, y: 14 }, `%${id} ${name}`.slice(0, 23)),
        s("text", { class: "box-detail", x: 7, y: 27 }, type),
      ),
    ),
  );
  const root = nodes.findIndex(([, , , , mark]) => mark === 2);
  panZoom(svg, layout.width, layout.height, layout.boxes[root]);
  const text = nodes.map(([id, name, type, inputs, mark]) => {
    const sign = mark === 0 ? " " : kind === "before" ? "-" : "+";
    return h(
      "span",
      { class: mark === 0 ? "" : `line-${kind}` },
      `${sign} %${id} = ${name} ${inputs.map((input) => `%${input}`).join(", ")} : ${type}\n`,
    );
  });
  return h(
    "div",
    { class: "snippet" },
    h("h3", {}, title),
    svg,
    h("pre", { tabindex: 0, "aria-label": title }, ...text),
  );
}

async function rewriteView(app: App, pass: PassRecord, rule: string): Promise<Child[]> {
  const own = pass.rewrites.filter((rewrite) => rewrite.rule === rule);
  const at = Math.min(own.length - 1, Number(app.state.options.hit ?? 0));
  const rewrite: RewriteRecord | undefined = own[at];
  const doc = app.program.data.rules[rule] ?? "";
  const head = h("h2", {}, `${rule} in ${pass.pass} of ${pass.stage}`);
  if (rewrite === undefined) return [head, h("p", {}, doc)];
  const go = (by: number) => () => app.go({ options: { hit: String((at + by + own.length) % own.length) } });
  return [
    head,
    h("p", {}, h("code", {}, doc)),
    h(
      "div",
      { class: "tools" },
      h(
        "button",
        { type: "button", class: "tool", "data-key": "ArrowLeft", title: "left arrow", click: go(-1) },
        "‹ previous",
      ),
      h("span", {}, `${at + 1} of ${own.length} shown, ${pass.hits[rule]} in all`),
      h(
        "button",
        { type: "button", class: "tool", "data-key": "ArrowRight", title: "right arrow", click: go(1) },
        "next ›",
      ),
      h("span", { class: "soft" }, shortPath(rewrite.scope)),
    ),
    h(
      "div",
      { class: "snippets" },
      ...(await Promise.all([snippet("Before", rewrite.before, "before"), snippet("After", rewrite.after, "after")])),
    ),
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
      { "aria-label": "Passes" },
      ...(chosen === undefined
        ? [h("p", { class: "soft" }, "Choose a rule to see what it changed.")]
        : await rewriteView(app, chosen, rule)),
      passesTable(app, chosen),
    );
  },
};
