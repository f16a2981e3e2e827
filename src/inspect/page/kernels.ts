/** Kernels: what each costs in a stage or a step, in any order. */
import type { App, View } from "./app.ts";
import { kernelChip, siteChips } from "./chips.ts";
import { type Cost, costsOfKernels, sitesOfKernel, totalOf } from "./costs.ts";
import { bar, type Child, h, number, select, table } from "./dom.ts";
import { bytes, count, flops, percent, ratio, time } from "./format.ts";
import type { ProgramModel, StageModel } from "./model.ts";

/** What a kernel does, as its text begins. */
export const purpose = (wgsl: string): string => /^\/\/ (.*)/.exec(wgsl)?.[1] ?? "";

interface Row extends Cost {
  readonly name: string;
  readonly what: string;
  readonly sites: readonly string[];
}

interface Column {
  readonly name: string;
  readonly title: string;
  /** By what rows are sorted; numbers downwards first. */
  readonly order?: (row: Row) => number | string;
  readonly cell: (row: Row) => HTMLElement;
}

const ofKernel: Column = {
  name: "name",
  title: "kernel",
  order: ({ name }) => name,
  cell: ({ name }) => h("td", {}, kernelChip(name)),
};

const numeric = (name: string, title: string, order: (row: Row) => number, text: (value: number) => Child): Column => ({
  ...{ name, title, order },
  cell: (row) => number(text(order(row))),
});

const work: readonly Column[] = [
  numeric("flops", "flops", ({ flops }) => flops, count),
  numeric("reads", "reads", ({ reads }) => reads, bytes),
  numeric("writes", "writes", ({ writes }) => writes, bytes),
  numeric(
    "ratio",
    "flop/byte",
    (row) => row.flops / Math.max(1, row.bytes),
    (ratio) => ratio.toFixed(2),
  ),
];

const share = (of: number): Child => [bar(of), percent(of, 1)];

const purposes: readonly Column[] = [
  { name: "for", title: "for", cell: ({ sites }) => h("td", { class: "for" }, siteChips(sites, 3)) },
  {
    ...{ name: "what", title: "what", order: ({ what }) => what },
    cell: ({ what }) => h("td", { class: "what", title: what }, what),
  },
];

const errors: readonly Column[] = [
  numeric("error", "error", (row) => row.errors?.error ?? 0, ratio),
  numeric("own", "own error", (row) => row.errors?.own ?? 0, ratio),
];

/** What stands in the table; times where they were measured, else shares of flops; errors where values were compared with f64. */
function columnsOf(isMeasured: boolean, total: Cost): Column[] {
  const runs = numeric("dispatches", "runs", ({ dispatches }) => dispatches, String);
  const ofFlops = numeric("share", "% of flops", ({ flops }) => flops / Math.max(1, total.flops), share);
  const times = [
    numeric("ms", "time", ({ ms }) => ms, time),
    numeric("of-step", "% of time", ({ ms }) => (total.ms === 0 ? 0 : ms / total.ms), share),
    numeric(
      "roof",
      "% of roof",
      ({ ms, leastMs }) => (ms === 0 ? 0 : leastMs / ms),
      (of) => (of === 0 ? "" : percent(of, 1)),
    ),
  ];
  const costs = isMeasured ? [...times, ...work] : [...work, ofFlops];
  return [ofKernel, runs, ...costs, ...(total.errors === undefined ? [] : errors), ...purposes];
}

export const stageChoice = (app: App, withStep: boolean): HTMLElement => {
  const { program, state } = app;
  const run = program.stages.filter(({ dispatches }) => dispatches.length > 0);
  const own = (run.length > 0 ? run : program.stages).map(({ name }) => [name, name] as const);
  const step = program.stages.filter(({ isOfStep }) => isOfStep).map(({ name }) => name);
  const all = withStep && step.length > 1 ? [...own, ["step", `step (${step.join(" + ")})`] as const] : own;
  return select("Stage", all, state.stage, (stage) => app.go({ stage }));
};

function sorted(rows: readonly Row[], { order = ({ name }) => name }: Column, isUp: boolean): Row[] {
  const compared = (a: Row, b: Row): number => {
    const [left, right] = [order(a), order(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  return [...rows].sort((a, b) => (isUp ? compared(a, b) : compared(b, a)));
}

function rowsOf(program: ProgramModel, stages: readonly StageModel[]): Row[] {
  const costs = costsOfKernels(stages);
  return program.data.kernels.flatMap(({ name, wgsl }) => {
    const cost = costs.get(name);
    return cost === undefined ? [] : [{ name, what: purpose(wgsl), sites: sitesOfKernel(stages, name), ...cost }];
  });
}

/** The heading of a column, which sorts by it; of a column that is text, or of shares, only what it is called. */
function heading(app: App, column: Column, by: Column, isUp: boolean): HTMLElement {
  const { name, title, order } = column;
  const isText = order === undefined || name === "name" || name === "what";
  const className = isText ? name : "number";
  if (order === undefined) return h("th", { scope: "col", class: className }, title);
  const isSorted = column === by;
  const next = isSorted ? !isUp : isText;
  const click = () => app.go({ options: { sort: name, up: next ? "1" : "" } });
  const direction = isUp ? "ascending" : "descending";
  return h(
    "th",
    { scope: "col", class: className, "aria-sort": isSorted ? direction : undefined },
    h("button", { type: "button", click }, title, isSorted ? (isUp ? " ▲" : " ▼") : ""),
  );
}

/** Of a program that merges. */
export const noKernels = "There are no kernels: merging runs on the processor, matrix by matrix. Graph has its nodes.";

export const kernelsView: View = {
  name: "kernels",
  title: "Kernels",
  options: ["sort", "up"],
  show(app) {
    const { program, state } = app;
    const stages = program.chosen(state.stage);
    const rows = rowsOf(program, stages);
    const total = totalOf(stages);
    const columns = columnsOf(total.ms > 0, total);
    const first = total.ms > 0 ? "ms" : "flops";
    const by = columns.find(({ name }) => name === (state.options.sort ?? first)) ?? columns[0]!;
    const isUp = state.options.up === "1";
    if (program.data.kernels.length === 0) return h("p", {}, noKernels);
    const took = total.ms > 0 ? `${time(total.ms)}, ` : "";
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
          `${rows.length} kernels, ${total.dispatches} dispatches, ${took}${flops(total.flops)}, ${bytes(total.bytes)} moved`,
        ),
      ),
      table(
        columns.map((column) => heading(app, column, by, isUp)),
        sorted(rows, by, isUp).map((row) =>
          h("tr", { "data-ref": `kernel:${row.name}` }, ...columns.map(({ cell }) => cell(row))),
        ),
      ),
    );
  },
};
