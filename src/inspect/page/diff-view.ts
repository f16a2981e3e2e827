/** Diff: what another program has that this one has not, and the other way round. */
import { compareDumps, type ProgramDiff } from "../diff.ts";
import type { App, View } from "./app.ts";
import { dumpOf } from "./compared.ts";
import { kernelsDiff } from "./diff-kernels.ts";
import { type Child, h, number, numberHead, table } from "./dom.ts";
import { bytes, count } from "./format.ts";
import type { ProgramModel } from "./model.ts";
import { openButton } from "./open-report.ts";

const known = new WeakMap<ProgramModel, WeakMap<ProgramModel, ProgramDiff>>();

/** Made once for two programs. */
function compared(a: ProgramModel, b: ProgramModel): ProgramDiff {
  const ofA = known.get(a) ?? new WeakMap<ProgramModel, ProgramDiff>();
  known.set(a, ofA);
  const made = ofA.get(b) ?? compareDumps(dumpOf(a), dumpOf(b));
  ofA.set(b, made);
  return made;
}

const figure = (name: string, n: number): string => (name.startsWith("bytes") ? bytes(n) : count(n));

/** By how much, and in percent of A. */
function delta(name: string, a: number, b: number): string {
  const [sign, by] = b >= a ? ["+", b - a] : ["−", a - b];
  return `${sign}${figure(name, by)}${a === 0 ? "" : ` (${sign}${((100 * by) / a).toFixed(1)} %)`}`;
}

function factsTable({ facts }: ProgramDiff): Child {
  const differing = facts.filter(({ a, b }) => a !== b);
  if (differing.length === 0) return h("p", {}, "All figures are equal.");
  return table(
    ["figure", numberHead("A"), numberHead("B"), numberHead("B − A")],
    differing.map(({ name, a, b }) =>
      h("tr", {}, h("td", {}, name), number(figure(name, a)), number(figure(name, b)), number(delta(name, a, b))),
    ),
  );
}

/** What is said of the programs and not counted: the model, the mode, fields of the config. */
function wordsTable(a: ProgramModel, b: ProgramModel): Child {
  const words = ({ data }: ProgramModel): Map<string, string> =>
    new Map([
      ...data.facts,
      ...Object.entries(data.fields).map(([name, value]) => [name, JSON.stringify(value)] as const),
    ]);
  const [ofA, ofB] = [words(a), words(b)];
  const differing = [...new Set([...ofA.keys(), ...ofB.keys()])].filter((name) => ofA.get(name) !== ofB.get(name));
  const isShared = (name: string): boolean => ofA.has(name) && ofB.has(name);
  const rows = (names: readonly string[]): HTMLElement =>
    table(
      ["model and config", "A", "B"],
      names.map((name) =>
        h("tr", {}, h("td", {}, name), ...[ofA, ofB].map((own) => h("td", { class: "value" }, own.get(name) ?? "—"))),
      ),
    );
  const [shared, others] = [differing.filter(isShared), differing.filter((name) => !isShared(name))];
  return h(
    "div",
    {},
    shared.length === 0 ? h("p", {}, "What both have is equal.") : rows(shared),
    others.length > 0 &&
      h("details", {}, h("summary", {}, `${others.length} fields that one config has`), rows(others)),
  );
}

function flipsTable({ flips }: ProgramDiff): Child {
  if (flips.length === 0) return h("p", {}, "None went the other way.");
  const costs = (candidates: Readonly<Record<string, number>>): string =>
    Object.entries(candidates)
      .map(([name, cost]) => `${name} ${cost >= Number.MAX_VALUE ? "cannot be" : count(cost)}`)
      .join(", ");
  return table(
    ["stage", "at", "A", "B"],
    flips.map(({ stage, scopes, a, b }) =>
      h(
        "tr",
        {},
        h("td", {}, stage),
        h(
          "td",
          { title: scopes.join("\n") },
          `${scopes[0]}${scopes.length > 1 ? ` and ${scopes.length - 1} more` : ""}`,
        ),
        ...[a, b].map(({ decision, candidates }) =>
          h("td", {}, h("b", {}, decision), h("div", { class: "soft" }, costs(candidates))),
        ),
      ),
    ),
  );
}

function opsTable({ ops }: ProgramDiff): Child {
  if (ops.length === 0) return h("p", {}, "All equal.");
  const rows = new Map<string, { readonly head: readonly string[]; readonly changes: string[] }>();
  for (const { stage, site, phase, op, a, b } of ops) {
    const head = [stage, phase, site === "" ? "outside of modules" : site];
    const row = rows.get(head.join()) ?? { head, changes: [] };
    rows.set(head.join(), row);
    row.changes.push(`${op} ${a} → ${b}`);
  }
  return table(
    ["stage", "phase", "module", "operations, A → B"],
    [...rows.values()].map(({ head, changes }) =>
      h("tr", {}, ...head.map((text) => h("td", {}, text)), h("td", {}, changes.join(", "))),
    ),
  );
}

const invitation = (app: App): HTMLElement =>
  h(
    "section",
    { "aria-label": "Diff" },
    app.problem !== "" && h("p", { class: "problem", role: "alert" }, app.problem),
    h(
      "div",
      { class: "invitation" },
      h("h2", {}, "Compare with another report"),
      h("p", {}, "Drop a second report.html anywhere on this page, or choose it. Nothing leaves your machine."),
      openButton(app, "Choose a report…"),
    ),
  );

const panel = (title: string, ...content: readonly Child[]): HTMLElement =>
  h("section", { "aria-label": title }, h("h2", {}, title), ...content);

export const diffView: View = {
  name: "diff",
  title: "Diff",
  options: ["kernels", "pair", "beside"],
  show(app) {
    const { program, other, problem } = app;
    if (other === undefined) return invitation(app);
    const diff = compared(program, other);
    const titles = [program, other].map(({ data }, at) =>
      h(
        "p",
        {},
        h("b", { class: at === 0 ? "only-a-text" : "only-b-text" }, at === 0 ? "A " : "B "),
        data.title,
        h("span", { class: "soft" }, ` ${data.subtitle}`),
      ),
    );
    return h(
      "section",
      { "aria-label": "Diff" },
      problem !== "" && h("p", { class: "problem", role: "alert" }, problem),
      h(
        "div",
        { class: "tools" },
        h("div", {}, ...titles),
        openButton(app, "Another report…"),
        h(
          "button",
          { type: "button", class: "tool", click: () => app.go({ view: "graph", options: { both: "1" } }) },
          "Graph of both",
        ),
      ),
      h("div", { class: "panels" }, panel("Figures", factsTable(diff)), panel("Config", wordsTable(program, other))),
      kernelsDiff(app, diff),
      panel("Decisions that flipped", flipsTable(diff)),
      panel("Operations, by kind of module", opsTable(diff)),
    );
  },
};
