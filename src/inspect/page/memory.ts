/** Memory: what is in the arena when, where and why; what is there at the peak; what is computed more than once. */
import type { App, View } from "./app.ts";
import { nodeChip, siteChip, siteChips } from "./chips.ts";
import { liveBytes, peakOf, totalOf, valuesAt } from "./costs.ts";
import { chip, h, number, numberHead, s, table } from "./dom.ts";
import { bytes, count, percent } from "./format.ts";
import { stageChoice } from "./kernels.ts";
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

const [width, tall, left, foot] = [1000, 400, 62, 22] as const;

function map(stage: StageModel, peak: number): SVGSVGElement {
  const { starts, height } = buffersOf(stage);
  const x = (dispatch: number): number => left + ((width - left) * dispatch) / Math.max(1, stage.dispatches.length);
  const y = (at: number): number => tall - foot - ((tall - foot - 8) * at) / Math.max(1, height);
  const boxes = stage.values.map(([node, buffer, offset, size, first, last, why]) => {
    const bottom = (starts.get(buffer) ?? 0) + offset;
    const name = stage.nodes[node]?.name ?? "copy";
    const text = `%${node} ${name}, ${stage.nodes[node]?.scope ?? ""}\n${bytes(size)}, dispatches ${first} to ${last}, ${why}`;
    return s(
      "rect",
      {
        ...{
          class: classes[why],
          "data-ref": `node:${stage.name}/${node}`,
          x: x(first),
          width: Math.max(1, x(last + 1) - x(first)),
        },
        ...{ y: y(bottom + size), height: Math.max(0.5, y(bottom) - y(bottom + size)) },
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
    s("text", { class: "peak-text", x: Math.min(width - 80, x(peak + 0.5) + 4), y: 14 }, `peak at ${peak}`),
    s("text", { x: left, y: tall - 6 }, "dispatch 0"),
    s("text", { x: width - 70, y: tall - 6 }, `dispatch ${stage.dispatches.length - 1}`),
    s("text", { x: width / 2, y: tall - 6 }, `${bytes(height)} from bottom to top`),
  );
}

function peakTable(stage: StageModel, peak: number): HTMLElement {
  const values = valuesAt(stage, peak);
  const all = values.reduce((sum, value) => sum + value[3], 0);
  return table(
    ["value", "module", numberHead("bytes"), numberHead("share"), "why", "from", "to"],
    values.slice(0, 40).map(([node, , , size, first, last, why]) => {
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
    }),
  );
}

/** Nodes that several dispatches compute, by what the further times cost. */
function recomputed(stage: StageModel): HTMLElement {
  const rows = [...stage.computedBy]
    .map(([id, dispatches]) => ({
      node: stage.nodes[id]!,
      dispatches,
      extra: (stage.nodes[id]?.flops ?? 0) * (dispatches.length - 1),
    }))
    .filter(({ dispatches, extra }) => dispatches.length > 1 && extra > 0)
    .sort((a, b) => b.extra - a.extra);
  if (rows.length === 0) return h("p", { class: "soft" }, "Nothing: what costs anything is computed in one dispatch.");
  return table(
    [`value (${rows.length})`, "module", numberHead("times"), numberHead("flops more"), "in dispatches"],
    rows
      .slice(0, 30)
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
            ...dispatches.slice(0, 6).map((at) => chip(`dispatch:${stage.name}/${at}`, `${at} `)),
            dispatches.length > 6 && "…",
          ),
        ),
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
  const peak = peakOf(stage);
  const live = liveBytes(stage)[peak] ?? 0;
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
    peakTable(stage, peak),
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
    return stage === undefined ? h("p", {}, "There is no stage.") : stageView(app, stage);
  },
};
