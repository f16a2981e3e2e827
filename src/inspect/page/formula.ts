/** The formula of the method: lines that select what they led to, with the shapes and numbers of one module. */

import type { FragmentRecord } from "../report-types.ts";
import type { App } from "./app.ts";
import { h, select } from "./dom.ts";
import { shortPath } from "./format.ts";

/** Lines of a fragment by what they say; requirements and fields of the config are folded. */
const folds: readonly (readonly [title: string, is: RegExp])[] = [
  ["Fields of the config", /^\s*(config\b|\w+: \w+)/],
  ["Requirements", /^\s*(require\b|else "|help ")/],
];

function lineView({ file, line }: FragmentRecord, text: string, at: number): HTMLElement {
  const place = `${file}:${line + at}`;
  const isFormula = /^\s*(on [^{]*\{ )?[\w']+' = /.test(text);
  return h(
    "button",
    { type: "button", class: isFormula ? "formula-line formula-main" : "formula-line", "data-ref": `line:${place}` },
    h("span", { class: "soft" }, String(line + at).padStart(3)),
    ` ${text}`,
  );
}

function fragmentView(fragment: FragmentRecord): HTMLElement {
  const lines = fragment.text.split("\n").map((text, at) => ({ text, view: lineView(fragment, text, at) }));
  const foldOf = (text: string) => folds.findIndex(([, is]) => is.test(text));
  const folded = folds.map(([title], fold) => {
    const own = lines.filter(({ text }) => foldOf(text) === fold);
    return (
      own.length > 0 &&
      h("details", {}, h("summary", {}, `${title} (${own.length} lines)`), ...own.map(({ view }) => view))
    );
  });
  const open = lines.filter(({ text }) => foldOf(text) < 0).map(({ view }) => view);
  return h("div", { class: "formula" }, h("p", { class: "soft" }, fragment.file), ...open, ...folded);
}

/** Shapes of the weights and parameters of a module, and simple fields of the config. */
function numbers(app: App, site: string): HTMLElement {
  const { data, mainStage } = app.program;
  const nodes = app.program.stage(mainStage)?.nodes ?? [];
  const ports = nodes.filter(({ name, scope }) => scope === site && /^(weight|param) /.test(name));
  const isNamed = (name: string): boolean =>
    data.fragments.some(({ text }) => new RegExp(`\\b${name.replace(/\W/g, "")}\\b`).test(text));
  const fields = Object.entries(data.fields).filter(
    ([name, value]) => (typeof value === "number" || value === true) && isNamed(name),
  );
  return h(
    "dl",
    { class: "facts" },
    ...ports.flatMap(({ name, type }) => {
      const parts = name.split(".");
      const end = parts.at(-1) === "weight" || parts.at(-1) === "default" ? parts.at(-2) : parts.at(-1);
      return [h("dt", {}, `${name.split(" ")[0]} ${end}`), h("dd", {}, type)];
    }),
    ...fields.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]),
  );
}

export function formulaView(app: App): HTMLElement {
  const { program, state } = app;
  const { fragments } = program.data;
  if (fragments.length === 0) return h("p", { class: "soft" }, "There is no adapter: the base model runs alone.");
  const site = program.sites.find((own) => own === state.options.of) ?? program.sites[0] ?? "";
  const choice = select(
    "For",
    program.sites.map((own) => [own, shortPath(own)] as const),
    site,
    (of) => app.go({ options: { of } }),
  );
  return h(
    "section",
    { class: "panel", "aria-label": "Formula" },
    h("h2", {}, "Formula"),
    h(
      "div",
      { class: "formula-parts" },
      h("div", {}, ...fragments.map(fragmentView)),
      h("div", {}, choice, numbers(app, site)),
    ),
  );
}
