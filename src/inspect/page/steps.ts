/** Steps: where the time of a step goes, and how near its kernels come to what the device reaches. */
import type { MeasuredRecord } from "../report-types.ts";
import type { App, View } from "./app.ts";
import { kernelChip, siteChips } from "./chips.ts";
import { type Cost, costsOfKernels, sitesOfKernel, totalOf } from "./costs.ts";
import { facts } from "./detail-parts.ts";
import { h, number, numberHead, select, table } from "./dom.ts";
import { flameView, layersOf, slicesOf } from "./flame.ts";
import { count, percent, shortPath, time } from "./format.ts";
import { stageChoice } from "./kernels.ts";
import type { StageModel } from "./model.ts";
import { rooflineView } from "./roofline.ts";

const howMeasured = ({ device, clock, runs, warmUps, seed, wholeMs, peak }: MeasuredRecord, kernelsMs: number) =>
  facts([
    ["on", device],
    ["by", clock],
    ["how", `median of ${runs} steps after ${warmUps}, data drawn from seed ${seed}`],
    ["a step", `${time(wholeMs)} from call to result, when its dispatches are not measured`],
    ["kernels", `${time(kernelsMs)}, ${percent(kernelsMs, wholeMs)} of that; the rest is the call, copies and waiting`],
    ["peak", `${count(peak.flopsPerSecond)}flop/s and ${count(peak.bytesPerSecond)}B/s: ${peak.probe}`],
  ]);

/** Kernels by the time that is beyond what the device would need. */
function furthest(stages: readonly StageModel[], costs: ReadonlyMap<string, Cost>, total: number): HTMLElement {
  const beyond = ({ ms, leastMs }: Cost): number => ms - leastMs;
  const rows = [...costs].filter(([, cost]) => cost.ms > 0).sort(([, a], [, b]) => beyond(b) - beyond(a));
  return table(
    ["kernel", numberHead("time"), numberHead("at the peak"), numberHead("% of roof"), numberHead("beyond"), "for"],
    rows
      .slice(0, 12)
      .map(([name, cost]) =>
        h(
          "tr",
          { "data-ref": `kernel:${name}` },
          h("td", {}, kernelChip(name)),
          number(time(cost.ms)),
          number(time(cost.leastMs)),
          number(percent(cost.leastMs, cost.ms)),
          number(beyond(cost) > 0 ? percent(beyond(cost), total) : ""),
          h("td", {}, siteChips(sitesOfKernel(stages, name), 3)),
        ),
      ),
  );
}

function measuredView(app: App, measured: MeasuredRecord): HTMLElement {
  const { program, state } = app;
  const stages = program.chosen(state.stage);
  const all = slicesOf(stages, "");
  const layers = layersOf(all);
  const layer = layers.includes(state.options.strip ?? "") ? state.options.strip! : "";
  const slices = layer === "" ? all : slicesOf(stages, layer);
  const costs = costsOfKernels(stages);
  const total = totalOf(stages).ms;
  const step = totalOf(program.stages.filter((stage) => stage.dispatches.some((one) => one.time !== undefined))).ms;
  const choice = select(
    "Layer",
    [["", "all"], ...layers.map((path) => [path, shortPath(path)] as const)],
    layer,
    (strip) => app.go({ options: { strip } }),
  );
  const shown = slices.reduce((sum, { ms }) => sum + ms, 0);
  const keys = ["forward", "backward"].map((name) => h("span", {}, h("span", { class: `key ${name}` }), name));
  return h(
    "section",
    { "aria-label": "Steps", class: "steps" },
    h(
      "div",
      { class: "tools" },
      stageChoice(app, true),
      choice,
      ...keys,
      total > 0 && h("span", { class: "soft" }, time(shown)),
    ),
    total === 0
      ? h("p", { class: "soft" }, `A step does not run ${state.stage}, so that it was not measured.`)
      : h("div", { class: "scroll", tabindex: 0 }, flameView(slices)),
    measured.isOutside && h("p", {}, h("b", {}, "Outside time: "), measured.clock),
    howMeasured(measured, step),
    total > 0 && [
      h("h2", {}, "What the device reaches, and what kernels do"),
      h("div", { class: "scroll", tabindex: 0 }, rooflineView(costs, measured)),
      h("h2", {}, "Time beyond what the device would need"),
      furthest(stages, costs, total),
    ],
  );
}

export const stepsView: View = {
  name: "steps",
  title: "Steps",
  options: ["strip"],
  show(app) {
    const { measured } = app.program.data;
    if (measured !== undefined) return measuredView(app, measured);
    return h(
      "section",
      { "aria-label": "Steps" },
      h("h2", {}, "Nothing was measured"),
      h("p", {}, "webpeft inspect --measure runs the program on a device and tells here what every kernel takes."),
    );
  },
};
