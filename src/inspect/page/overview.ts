/** Overview: what a step costs, who holds the memory, and the formula with the numbers of a module. */
import type { App, View } from "./app.ts";
import { groupOf, kernelChip, nodeChip, siteChips } from "./chips.ts";
import { type Cost, costsOfKernels, costsOfSites, peakOf, totalOf } from "./costs.ts";
import { bar, type Child, h, number, numberHead, table } from "./dom.ts";
import { bytes, count, flops, percent, time } from "./format.ts";
import { formulaView } from "./formula.ts";
import { noKernels, stageChoice } from "./kernels.ts";
import type { ProgramModel, StageModel } from "./model.ts";

const card = (title: string, value: Child, ...below: readonly Child[]): HTMLElement =>
  h(
    "div",
    { class: "card" },
    h("h3", {}, title),
    h("p", { class: "large" }, value),
    ...below.map((own) => h("p", { class: "soft" }, own)),
  );

function stepCard(program: ProgramModel): HTMLElement {
  const { measured } = program.data;
  const step = program.stages.filter(({ isOfStep }) => isOfStep);
  const stages = step.length > 0 ? step : program.stages.filter(({ name }) => name === program.mainStage);
  const cost = totalOf(stages);
  const parts = stages.map(({ name, dispatches }) => `${name} ${dispatches.length}`).join(" + ");
  const work = flops(cost.flops);
  return card(
    step.length > 0 ? "Training step" : `Stage ${program.mainStage}`,
    measured === undefined ? work : time(measured.wholeMs),
    measured !== undefined && `${percent(cost.ms, measured.wholeMs)} in kernels, ${work}`,
    `${bytes(cost.bytes)} moved, ${(cost.flops / Math.max(1, cost.bytes)).toFixed(1)} flop/byte`,
    `${cost.dispatches} dispatches: ${parts}`,
  );
}

function memoryCard({ data }: ProgramModel): HTMLElement {
  const { peakBytes, largestBinding } = data.memory;
  const largest = Math.max(0, ...data.buffers.filter(({ within }) => within === "").map((buffer) => buffer.bytes));
  return card(
    "Device memory",
    bytes(peakBytes),
    [bar(largest / largestBinding)],
    `largest buffer ${bytes(largest)} of ${bytes(largestBinding)} that one binding may have`,
  );
}

function programCard({ data, stages, mainStage }: ProgramModel): HTMLElement {
  const fact = (name: string): string => data.facts.find(([own]) => own === name)?.[1] ?? "";
  const others = stages
    .filter(({ isOfStep, name }) => !isOfStep && name !== mainStage)
    .map(({ name, dispatches }) => `${name} ${dispatches.length}`);
  return card(
    "Trained",
    `${fact("trained numbers")} numbers`,
    `${fact("adapted modules")} modules, ${data.kernels.length} distinct kernels`,
    others.length > 0 && `other stages: ${others.join(", ")}`,
  );
}

function warningCard({ data }: ProgramModel): HTMLElement {
  const own = data.diagnostics.map(({ code, message }) => h("li", {}, h("b", {}, code), ` ${message}`));
  return h(
    "div",
    { class: "card" },
    h("h3", {}, "Warnings"),
    own.length === 0 ? h("p", { class: "large" }, "none") : h("ul", { class: "warnings" }, ...own),
  );
}

const five = (app: App, title: string, view: string, content: HTMLElement): HTMLElement =>
  h(
    "section",
    { class: "panel", "aria-label": title },
    h("h2", {}, title, h("button", { type: "button", class: "more", click: () => app.go({ view }) }, "all")),
    content,
  );

const top = <T>(entries: readonly T[], size: (entry: T) => number): T[] =>
  [...entries].sort((a, b) => size(b) - size(a)).slice(0, 5);

/** What the dearest are told by: time where it was measured. */
function measureOf({ ms }: Cost) {
  return ms > 0
    ? { name: "time", of: (cost: Cost): number => cost.ms, text: time }
    : { name: "flops", of: (cost: Cost): number => cost.flops, text: count };
}

function kernelsPanel(app: App, stages: readonly StageModel[], total: Cost): HTMLElement {
  const { name: by, of, text } = measureOf(total);
  const isMeasured = total.ms > 0;
  const rows = top([...costsOfKernels(stages)], ([, cost]) => of(cost));
  return five(
    app,
    `Kernels by ${by}`,
    "kernels",
    table(
      ["kernel", isMeasured ? [] : numberHead("runs"), numberHead(by), numberHead("share")].flat(),
      rows.map(([name, cost]) =>
        h(
          "tr",
          { "data-ref": `kernel:${name}` },
          h("td", {}, kernelChip(name)),
          !isMeasured && number(cost.dispatches),
          number(text(of(cost))),
          number(percent(of(cost), of(total))),
        ),
      ),
    ),
  );
}

/** Modules of one name in all layers, with what they take together. */
function alikeSites(stages: readonly StageModel[], of: (cost: Cost) => number): { sites: string[]; cost: number }[] {
  const groups = new Map<string, { sites: string[]; cost: number }>();
  for (const [site, cost] of costsOfSites(stages)) {
    const { sites, cost: before } = groups.get(groupOf(site)) ?? { sites: [], cost: 0 };
    groups.set(groupOf(site), { sites: [...sites, site], cost: before + of(cost) });
  }
  return [...groups.values()];
}

function sitesPanel(app: App, stages: readonly StageModel[], total: Cost): HTMLElement {
  const { name: by, of, text } = measureOf(total);
  const rows = top(alikeSites(stages, of), ({ cost }) => cost);
  return five(
    app,
    `Modules by ${by}`,
    "graph",
    table(
      ["module", numberHead(by), numberHead("share")],
      rows.map(({ sites, cost }) =>
        h("tr", {}, h("td", {}, siteChips(sites, 1)), number(text(cost)), number(percent(cost, of(total)))),
      ),
    ),
  );
}

function peakPanel(app: App, stage: StageModel): HTMLElement {
  const rows = peakOf(stage).values.slice(0, 5);
  return five(
    app,
    `At the peak of ${stage.name}`,
    "memory",
    table(
      ["value", numberHead("bytes"), "why"],
      rows.map(([node, , , size, , , why]) =>
        h(
          "tr",
          { "data-ref": `node:${stage.name}/${node}` },
          h("td", {}, nodeChip(stage.name, node, stage.nodes[node]?.name ?? "copy")),
          number(bytes(size)),
          h("td", { class: "nowrap", title: why }, why.replace(" for backward", "")),
        ),
      ),
    ),
  );
}

/** The licences of the libraries in the page. */
const noticesView = (): HTMLElement =>
  h(
    "details",
    { class: "soft" },
    h("summary", {}, "Made by webpeft. Graphs are laid out by dagre; its licence"),
    h("pre", { tabindex: 0 }, document.getElementById("notices")?.textContent ?? ""),
  );

export const overviewView: View = {
  name: "overview",
  title: "Overview",
  options: ["of"],
  show(app) {
    const { program, state } = app;
    const stages = program.chosen(state.stage);
    const total = totalOf(stages);
    return h(
      "div",
      {},
      h("div", { class: "cards" }, stepCard(program), memoryCard(program), programCard(program), warningCard(program)),
      program.data.kernels.length === 0
        ? h("p", { class: "panel" }, noKernels)
        : [
            h("div", { class: "tools" }, stageChoice(app, true)),
            h(
              "div",
              { class: "panels" },
              kernelsPanel(app, stages, total),
              sitesPanel(app, stages, total),
              ...stages.slice(0, 1).map((stage) => peakPanel(app, stage)),
            ),
          ],
      formulaView(app),
      noticesView(),
    );
  },
};
