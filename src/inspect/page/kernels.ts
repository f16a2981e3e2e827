/** Kernels: what each costs in a stage or a step, in any order. */
import type { App, View } from "./app.ts";
import { kernelChip, siteChips } from "./chips.ts";
import { type Cost, costsOfKernels, sitesOfKernel, totalOf } from "./costs.ts";
import { bar, h, number, numberHead, select, table } from "./dom.ts";
import { bytes, count, percent } from "./format.ts";
import type { ProgramModel } from "./model.ts";

/** What a kernel does, as its text begins. */
export const purpose = (wgsl: string): string => /^\/\/ (.*)/.exec(wgsl)?.[1] ?? "";

interface Row extends Cost {
  readonly name: string;
  readonly what: string;
}

interface Column {
  readonly name: string;
  readonly title: string;
  /** Numbers are sorted downwards first. */
  readonly order: (row: Row) => number | string;
}

const columns: readonly Column[] = [
  { name: "name", title: "kernel", order: ({ name }) => name },
  { name: "dispatches", title: "runs", order: ({ dispatches }) => dispatches },
  { name: "flops", title: "flops", order: ({ flops }) => flops },
  { name: "bytes", title: "bytes", order: (row) => row.bytes },
  { name: "ratio", title: "flop/byte", order: (row) => row.flops / Math.max(1, row.bytes) },
  { name: "what", title: "what", order: ({ what }) => what },
];

const isNumeric = ({ name }: Column): boolean => name !== "name" && name !== "what";

export const stageChoice = (app: App, withStep: boolean): HTMLElement => {
  const { program, state } = app;
  const own = program.stages.filter(({ dispatches }) => dispatches.length > 0).map(({ name }) => [name, name] as const);
  const step = program.stages.filter(({ isOfStep }) => isOfStep).map(({ name }) => name);
  const all = withStep && step.length > 1 ? [...own, ["step", `step (${step.join(" + ")})`] as const] : own;
  return select("Stage", all, state.stage, (stage) => app.go({ stage }));
};

function sorted(rows: readonly Row[], column: Column, isUp: boolean): Row[] {
  const order = (a: Row, b: Row): number => {
    const [left, right] = [column.order(a), column.order(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  return [...rows].sort((a, b) => (isUp ? order(a, b) : order(b, a)));
}

function rowsOf(program: ProgramModel, stage: string): Row[] {
  const costs = costsOfKernels(program.chosen(stage));
  return program.data.kernels.flatMap(({ name, wgsl }) => {
    const cost = costs.get(name);
    return cost === undefined ? [] : [{ name, what: purpose(wgsl), ...cost }];
  });
}

export const kernelsView: View = {
  name: "kernels",
  title: "Kernels",
  options: ["sort", "up"],
  show(app) {
    const { program, state } = app;
    const stages = program.chosen(state.stage);
    const rows = rowsOf(program, state.stage);
    const total = totalOf(stages);
    const column = columns.find(({ name }) => name === (state.options.sort ?? "flops"))!;
    const isUp = state.options.up === "1";
    const heads = columns.map((own) => {
      const isSorted = own === column;
      const next = isSorted ? !isUp : !isNumeric(own);
      const click = () => app.go({ options: { sort: own.name, up: next ? "1" : "" } });
      const direction = isUp ? "ascending" : "descending";
      return h(
        "th",
        { scope: "col", class: isNumeric(own) ? "number" : own.name, "aria-sort": isSorted ? direction : undefined },
        h("button", { type: "button", click }, own.title, isSorted ? (isUp ? " ▲" : " ▼") : ""),
      );
    });
    return h(
      "section",
      { "aria-label": "Kernels" },
      h(
        "div",
        { class: "tools" },
        stageChoice(app, true),
        h(
          "span",
          { class: "soft" },
          `${rows.length} kernels, ${total.dispatches} dispatches, ${count(total.flops)}flop, ${bytes(total.bytes)} moved`,
        ),
      ),
      table(
        [...heads.slice(0, -1), numberHead("% of flops"), "for", heads.at(-1)],
        sorted(rows, column, isUp).map((row) =>
          h(
            "tr",
            { "data-ref": `kernel:${row.name}` },
            h("td", {}, kernelChip(row.name)),
            number(row.dispatches),
            number(count(row.flops)),
            number(bytes(row.bytes)),
            number((row.flops / Math.max(1, row.bytes)).toFixed(2)),
            number([bar(row.flops / Math.max(1, total.flops)), percent(row.flops, total.flops)]),
            h("td", {}, siteChips(sitesOfKernel(stages, row.name), 3)),
            h("td", { class: "what", title: row.what }, row.what),
          ),
        ),
      ),
    );
  },
};
