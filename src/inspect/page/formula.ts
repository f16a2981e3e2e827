/** The formula of the method: lines that select what they led to, with the shapes and numbers of one module. */

import type { FragmentRecord } from "../report-types.ts";
import type { App } from "./app.ts";
import { h, select } from "./dom.ts";
import { shortPath } from "./format.ts";
import type { PageNode } from "./model.ts";

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

/** Sizes that declarations of parameters name, as the shapes of a module's own parameters have them. */
function sizesOf(fragments: readonly FragmentRecord[], ports: readonly PageNode[]): Map<string, string> {
  const sizes = new Map<string, string>();
  for (const { text } of fragments)
    for (const [, dims = "", key = ""] of text.matchAll(/\bparam \w+\[([^\]]*)\][^;]*? at "([^"]+)"/g)) {
      const own = ports.find(({ name }) => name.split(/[ .]/).includes(key.split(".")[0]!));
      const shape = /\[([\d,]+)\]/.exec(own?.type ?? "")?.[1]?.split(",") ?? [];
      const names = dims.split(",").map((dim) => dim.trim());
      if (names.length !== shape.length) continue;
      for (const [at, dim] of names.entries())
        if (/^[a-z]\w*$/i.test(dim) && !sizes.has(dim)) sizes.set(dim, shape[at]!);
    }
  return sizes;
}

/** Shapes of the weights and parameters of a module, and simple fields of the config. */
function numbers(app: App, site: string): HTMLElement {
  const { data, stages } = app.program;
  const isOwn = ({ name, scope }: PageNode): boolean =>
    scope === site && /^(weight|param) (?!\w+\.(hoisted|kept)\.)/.test(name);
  const found = stages.flatMap(({ nodes }) => nodes.filter(isOwn));
  const ports = [...new Map(found.map((node) => [node.name, node])).values()];
  const isNamed = (name: string): boolean =>
    data.fragments.some(({ text }) => new RegExp(`\\b${name.replace(/\W/g, "")}\\b`).test(text));
  const fields = Object.entries(data.fields).filter(
    ([name, value]) => (typeof value === "number" || value === true) && isNamed(name),
  );
  const sizes = [...sizesOf(data.fragments, ports)].filter(([name]) => !fields.some(([field]) => field === name));
  return h(
    "dl",
    { class: "facts" },
    ...sizes.flatMap(([name, size]) => [h("dt", {}, name), h("dd", {}, size)]),
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
