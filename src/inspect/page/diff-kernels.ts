/** Kernels of two programs: which are in one only, which run with other sizes, and two texts line by line. */
import type { KernelChange, ProgramDiff } from "../diff.ts";
import type { App } from "./app.ts";
import { kernelChip } from "./chips.ts";
import { h, number, numberHead, select, table } from "./dom.ts";
import { bytes, count } from "./format.ts";
import { purpose } from "./kernels.ts";
import { otherMark, type ProgramModel } from "./model.ts";
import { isTelling } from "./parts.ts";
import { diffView, lineDiff } from "./text-diff.ts";

type Side = "a" | "b";

const kinds: readonly (readonly [kind: "onlyA" | "onlyB" | "resized", title: string, mark: string, style: string])[] = [
  ["onlyA", "only A", "− A", "only-a-text"],
  ["onlyB", "only B", "+ B", "only-b-text"],
  ["resized", "same text, other sizes", "≠ sizes", "changed-text"],
];

const workOf = (change: KernelChange) => (change.b ?? change.a)!;

/** A figure in both programs, or in the one that has it. */
const both = (change: KernelChange, show: (work: NonNullable<KernelChange["a"]>) => string): string => {
  const shown = [change.a, change.b].flatMap((work) => (work === undefined ? [] : [show(work)]));
  return [...new Set(shown)].join(" → ");
};

const textOf = (program: ProgramModel, name: string): string =>
  program.data.kernels.find((kernel) => kernel.name === name)?.wgsl ?? "";

/** Kernels of the other program that may stand for this one, the likeliest first: those of the same modules and the same purpose. */
function partners(app: App, change: KernelChange, others: readonly KernelChange[], side: Side): KernelChange[] {
  const [own, theirs] = side === "a" ? [app.program, app.other!] : [app.other!, app.program];
  const what = purpose(textOf(own, change.name));
  const { sites, lines } = workOf(change);
  const likeness = (other: KernelChange): number => {
    const work = workOf(other);
    const shared = work.sites.filter((site) => sites.includes(site)).length;
    const isAlike = purpose(textOf(theirs, other.name)) === what;
    return (
      (2 * shared) / (sites.length + work.sites.length + 1) +
      (isAlike ? 0.5 : 0) +
      (lines.length === work.lines.length ? 0.1 : 0)
    );
  };
  return [...others].sort((x, y) => likeness(y) - likeness(x));
}

/** Size words of the first dispatch that differ. */
function sizesView(app: App, name: string): HTMLElement {
  const first = (program: ProgramModel) =>
    program.stages.flatMap(({ dispatches }) => dispatches).find(({ kernel }) => kernel === name)?.parts[0]?.words ?? [];
  const words = app.program.data.kernels.find((kernel) => kernel.name === name)?.words ?? [];
  const [a, b] = [first(app.program), first(app.other!)];
  const rows = words.map((word, at) => [word, a[at] ?? 0, b[at] ?? 0] as const);
  const differing = rows.filter(([word, inA, inB]) => isTelling(word) && inA !== inB);
  return h(
    "div",
    {},
    h("p", { class: "soft" }, "The text is the same. Sizes of the first dispatch that differ:"),
    differing.length === 0
      ? h("p", {}, "none; the number of its dispatches or their grids do.")
      : table(
          ["size", numberHead("A"), numberHead("B")],
          differing.map(([word, inA, inB]) => h("tr", {}, h("td", {}, word), number(inA), number(inB))),
        ),
  );
}

function textView(app: App, kernels: ProgramDiff["kernels"], name: string): HTMLElement | undefined {
  if (kernels.resized.some((change) => change.name === name)) return sizesView(app, name);
  const side: Side = kernels.onlyA.some((change) => change.name === name) ? "a" : "b";
  const [mine, theirs] = side === "a" ? [kernels.onlyA, kernels.onlyB] : [kernels.onlyB, kernels.onlyA];
  const change = mine.find((own) => own.name === name);
  if (change === undefined) return undefined;
  const all = partners(app, change, theirs, side);
  const partner = all.find((own) => own.name === app.state.options.beside) ?? all[0];
  if (partner === undefined) return h("p", {}, "The other program has no kernel that this one has not.");
  const [a, b] = side === "a" ? [change, partner] : [partner, change];
  const lines = (program: ProgramModel, own: KernelChange): string[] => textOf(program, own.name).trimEnd().split("\n");
  return h(
    "div",
    {},
    select(
      side === "a" ? "beside B's" : "beside A's",
      all.map((own) => [own.name, `${own.name}: ${workOf(own).sites.slice(0, 3).join(", ")}`] as const),
      partner.name,
      (beside) => app.go({ options: { beside } }),
    ),
    diffView(`WGSL of ${a.name} and ${b.name}`, lineDiff(lines(app.program, a), lines(app.other!, b))),
  );
}

export function kernelsDiff(app: App, { kernels }: ProgramDiff): HTMLElement {
  const { options } = app.state;
  const flops = (change: KernelChange): number => Math.abs((change.b?.flops ?? 0) - (change.a?.flops ?? 0));
  const rows = kinds
    .flatMap(([kind, , mark, style]) => kernels[kind].map((change) => ({ change, mark, style, kind })))
    .filter(({ kind }) => options.kernels === undefined || options.kernels === kind)
    .sort((x, y) => flops(y.change) - flops(x.change));
  const filter = select(
    "Show",
    [
      ["", "all that differ"] as const,
      ...kinds.map(([kind, title]) => [kind, `${title}: ${kernels[kind].length}`] as const),
    ],
    options.kernels ?? "",
    (chosen) => app.go({ options: { kernels: chosen, pair: "" } }),
  );
  return h(
    "section",
    { "aria-label": "Kernels of both" },
    h("h2", {}, "Kernels"),
    h(
      "div",
      { class: "tools" },
      filter,
      h("span", { class: "soft" }, `${kernels.same.length} are equal in text, sizes and number`),
    ),
    rows.length === 0
      ? h("p", {}, "None differs.")
      : table(
          ["", "kernel", "text", numberHead("runs"), numberHead("flops"), numberHead("bytes"), "for", "lines"],
          rows.flatMap(({ change, mark, style }) => {
            const isOpen = options.pair === change.name;
            const name = change.a === undefined ? kernelChip(change.name, otherMark) : kernelChip(change.name);
            const compare = () => app.go({ options: { pair: isOpen ? "" : change.name, beside: "" } });
            const row = h(
              "tr",
              { class: isOpen ? "is-chosen" : "" },
              h("td", { class: `nowrap ${style}` }, mark),
              h("td", {}, name),
              h(
                "td",
                {},
                h(
                  "button",
                  { type: "button", class: "tool", "aria-expanded": String(isOpen), click: compare },
                  isOpen ? "close" : "compare",
                ),
              ),
              number(both(change, ({ dispatches }) => String(dispatches))),
              number(both(change, (work) => count(work.flops))),
              number(both(change, (work) => bytes(work.bytes))),
              h("td", {}, workOf(change).sites.slice(0, 4).join(", ")),
              h("td", { class: "soft" }, workOf(change).lines.slice(0, 3).join(" ")),
            );
            const opened = isOpen ? textView(app, kernels, change.name) : undefined;
            return opened === undefined ? [row] : [row, h("tr", {}, h("td", { colspan: 8 }, opened))];
          }),
        ),
  );
}
