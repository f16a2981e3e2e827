/** Memory: what is in the arena when, where and why; what is there at the peak; what is computed more than once. */
import { repeated } from "../memory-facts.ts";
import type { ValueRecord } from "../report-types.ts";
import type { App, View } from "./app.ts";
import { nodeChip, siteChip, siteChips } from "./chips.ts";
import { peakOf, totalOf } from "./costs.ts";
import { facts, some } from "./detail-parts.ts";
import { chip, h, number, numberHead, s, table } from "./dom.ts";
import { bytes, count, percent, plural } from "./format.ts";
import { noKernels, stageChoice } from "./kernels.ts";
import type { StageModel } from "./model.ts";

const classes: Readonly<Record<string, string>> = {
  "saved for backward": "saved",
  temporary: "temporary",
  output: "output",
};

/** Where buffers begin in the drawing: one above the other. */
function buffersOf({ values }: StageModel): { readonly starts: ReadonlyMap<string, number>; readonly height: number } {
  const ends = new Map<string, number>();
  for (const [, buffer, offset, size] of values) ends.set(buffer, Math.max(ends.get(buffer) ?? 0, offset + size));
  const starts = new Map<string, number>();
  let height = 0;
  for (const [buffer, size] of ends) {
    starts.set(buffer, height);
    height += size;
  }
  return { starts, height };
}

/** Below the drawing there is room for the larger letters that phones have. */
const [width, tall, left, foot] = [1000, 400, 62, 34] as const;

function map(stage: StageModel, peak: number): SVGSVGElement {
  const { starts, height } = buffersOf(stage);
  const x = (dispatch: number): number => left + ((width - left) * dispatch) / Math.max(1, stage.dispatches.length);
  const y = (at: number): number => tall - foot - ((tall - foot - 8) * at) / Math.max(1, height);
  const boxes = stage.values.map(([node, buffer, offset, size, first, last, why]) => {
    const bottom = (starts.get(buffer) ?? 0) + offset;
    const name = stage.nodes[node]?.name ?? "copy";
    const [tallness, across] = [y(bottom) - y(bottom + size), x(last + 1) - x(first)];
    // What is much of all is seen even where it is there for a dispatch of hundreds.
    const wide = Math.max(across, size > height / 100 ? 5 : 1);
    const text = `%${node} ${name}, ${stage.nodes[node]?.scope ?? ""}\n${bytes(size)}, dispatches ${first} to ${last}, ${why}`;
    return s(
      "rect",
      {
        ...{
          class: `${classes[why]} ${tallness < 4 ? "is-thin" : ""}`,
          "data-ref": `node:${stage.name}/${node}`,
          x: x(first) - (wide - across) / 2,
          width: wide,
        },
        ...{ y: y(bottom + size), height: Math.max(0.5, tallness) },
      },
      s("title", {}, text),
    );
  });
  const lines = [...starts].map(([buffer, start]) =>
    s(
      "g",
      {},
      s("line", { x1: left, x2: width, y1: y(start), y2: y(start), class: "axis" }),
      s("text", { x: 2, y: y(start) - 3 }, buffer),
    ),
  );
  return s(
    "svg",
    {
      ...{ class: "memory", viewBox: `0 0 ${width} ${tall}`, role: "img" },
      "aria-label": "Values in memory by dispatch and offset; the list below has those at the peak",
    },
    ...boxes,
    ...lines,
    s("line", { class: "peak", x1: x(peak + 0.5), x2: x(peak + 0.5), y1: 4, y2: tall - foot }),
    s(
      "text",
      // On the side where there is room.
      x(peak + 0.5) < width / 2
        ? { class: "peak-text", x: x(peak + 0.5) + 4, y: 26 }
        : { class: "peak-text", x: x(peak + 0.5) - 4, y: 26, "text-anchor": "end" },
      `peak at ${peak}`,
    ),
    s("text", { x: left, y: tall - 6 }, "dispatch 0"),
    s("text", { x: width - 4, y: tall - 6, "text-anchor": "end" }, `dispatch ${stage.dispatches.length - 1}`),
    s("text", { x: width / 2, y: tall - 6, "text-anchor": "middle" }, `${bytes(height)} from bottom to top`),
  );
}

const sumOf = (values: readonly ValueRecord[]): number => values.reduce((sum, value) => sum + value[3], 0);

/** What is there at the peak by reasons, which add up to all of it. */
function reasons(values: readonly ValueRecord[]): HTMLElement {
  const all = sumOf(values);
  const entries = Object.keys(classes).map((why) => [why, values.filter((value) => value[6] === why)] as const);
  return facts(
    [...entries, ["together", values] as const].map(([why, own]) => [
      why,
      `${bytes(sumOf(own))}, ${percent(sumOf(own), all)}, ${plural(own.length, "value")}`,
    ]),
  );
}

/** The last row of a table that does not have all. */
const moreRow = (rest: number, cells: readonly string[]): HTMLTableRowElement[] =>
  rest <= 0
    ? []
    : [h("tr", { class: "soft" }, h("td", { colspan: 2 }, `and ${rest} more`), ...cells.map((text) => number(text)))];

const [mostValues, mostAgain] = [40, 30] as const;

function peakTable(stage: StageModel, values: readonly ValueRecord[]): HTMLElement {
  const all = sumOf(values);
  const rest = sumOf(values.slice(mostValues));
  return table(
    ["value", "module", numberHead("bytes"), numberHead("share"), "why", "from", "to"],
    values
      .slice(0, mostValues)
      .map(([node, , , size, first, last, why]) => {
        const scope = stage.nodes[node]?.scope ?? "";
        return h(
          "tr",
          { "data-ref": `node:${stage.name}/${node}` },
          h("td", {}, nodeChip(stage.name, node, stage.nodes[node]?.name ?? "copy")),
          h("td", {}, scope === "" ? "" : siteChip(scope)),
          number(bytes(size)),
          number(percent(size, all)),
          h("td", { class: "nowrap" }, h("span", { class: `key ${classes[why]}` }), why),
          ...[first, last].map((at) => h("td", {}, chip(`dispatch:${stage.name}/${at}`, String(at)))),
        );
      })
      .concat(moreRow(values.length - mostValues, [bytes(rest), percent(rest, all)])),
  );
}

/** Nodes that several dispatches compute, by what the further times cost. */
function recomputed(stage: StageModel): HTMLElement {
  const rows = repeated(stage.computedBy, (id) => stage.nodes[id]?.flops ?? 0).map((row) => ({
    ...row,
    node: stage.nodes[row.node]!,
  }));
  if (rows.length === 0) return h("p", { class: "soft" }, "Nothing: what costs anything is computed in one dispatch.");
  return table(
    [`value (${rows.length})`, "module", numberHead("times"), numberHead("flops more"), "in dispatches"],
    rows
      .slice(0, mostAgain)
      .map(({ node, dispatches, extra }) =>
        h(
          "tr",
          { "data-ref": `node:${stage.name}/${node.id}` },
          h("td", {}, nodeChip(stage.name, node.id, node.name)),
          h("td", {}, node.scope === "" ? "" : siteChip(node.scope)),
          number(dispatches.length),
          number(count(extra)),
          h(
            "td",
            {},
            some(dispatches, 6, (at) => chip(`dispatch:${stage.name}/${at}`, String(at))),
          ),
        ),
      )
      .concat(
        moreRow(rows.length - mostAgain, ["", count(rows.slice(mostAgain).reduce((sum, { extra }) => sum + extra, 0))]),
      ),
  );
}

/** How much memory could be spared by making the first parts of the forward pass again, and for how many flops. */
function whatIf({ program }: App): HTMLElement {
  const { recompute } = program.data;
  if (recompute.length === 0)
    return h("p", { class: "soft" }, "There is nothing that could be made again for the backward pass.");
  const step = totalOf(program.chosen("step")).flops;
  let [saved, flops] = [0, 0];
  return table(
    [
      ...["make again", "modules", numberHead("saves"), numberHead("flops more")],
      ...[numberHead("together"), numberHead("of a step")],
    ],
    recompute.map((own, at) => {
      saved += own.saves;
      flops += own.flops;
      return h(
        "tr",
        {},
        h("td", { class: "nowrap" }, at === 0 ? "part 1" : `parts 1 to ${at + 1}`),
        h("td", {}, siteChips(own.scopes, 3)),
        ...[bytes(own.saves), count(own.flops), bytes(saved), `+${percent(flops, step)}`].map((text) => number(text)),
      );
    }),
  );
}

function stageView(app: App, stage: StageModel): HTMLElement {
  const { at: peak, bytes: live, values } = peakOf(stage);
  const keys = Object.entries(classes).map(([why, name]) => h("span", {}, h("span", { class: `key ${name}` }), why));
  return h(
    "section",
    { "aria-label": "Memory" },
    h(
      "div",
      { class: "tools" },
      stageChoice(app, false),
      ...keys,
      h("span", { class: "soft" }, `${stage.values.length} values, ${bytes(live)} at the peak`),
    ),
    map(stage, peak),
    h("h2", {}, `At the peak, dispatch ${peak}`),
    reasons(values),
    peakTable(stage, values),
    h("h2", {}, "Computed more than once"),
    recomputed(stage),
    h("h2", {}, "What if less was kept"),
    h(
      "p",
      { class: "soft" },
      "Parts of the forward pass that could be made again for the backward pass, as --memory does where a program has to fit.",
    ),
    whatIf(app),
    h("h2", {}, "Buffers"),
    table(
      ["buffer", numberHead("bytes"), "part of"],
      app.program.data.buffers.map((own) =>
        h("tr", {}, h("td", {}, own.name), number(bytes(own.bytes)), h("td", {}, own.within)),
      ),
    ),
  );
}

export const memoryView: View = {
  name: "memory",
  title: "Memory",
  options: [],
  show(app) {
    const stage = app.program.stage(app.state.stage) ?? app.program.stage(app.program.mainStage);
    if (app.program.data.kernels.length === 0) return h("p", {}, noKernels);
    return stage === undefined ? h("p", {}, "There is no stage.") : stageView(app, stage);
  },
};
