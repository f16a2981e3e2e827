/** Details of a kernel: what it computes, for whom, in which parts, and its text. */
import type { App } from "./app.ts";
import { siteChips } from "./chips.ts";
import { costsOfKernels, sitesOfKernel } from "./costs.ts";
import { facts, linesOf, timeFacts } from "./detail-parts.ts";
import { chip, h, number, numberHead, table } from "./dom.ts";
import { bytes, count, time } from "./format.ts";
import { purpose } from "./kernels.ts";
import type { StageModel } from "./model.ts";
import { partsView } from "./parts.ts";
import { kernelPage } from "./run-alone.ts";
import { save } from "./save.ts";
import { wgslView } from "./wgsl.ts";

function copyButton(text: string): HTMLElement {
  const button = h(
    "button",
    {
      type: "button",
      class: "tool",
      click: () => void navigator.clipboard?.writeText(text).then(() => button.replaceChildren("Copied")),
    },
    "Copy",
  );
  return button;
}

function dispatchesTable(stage: StageModel, dispatches: readonly number[]): HTMLElement {
  const isMeasured = dispatches.some((at) => stage.dispatches[at]!.time !== undefined);
  const rows = dispatches.slice(0, 12).map((at) => {
    const { flops, bytes: moved, time: took } = stage.dispatches[at]!;
    return h(
      "tr",
      { "data-ref": `dispatch:${stage.name}/${at}` },
      h("td", {}, chip(`dispatch:${stage.name}/${at}`, String(at))),
      h("td", {}, siteChips(stage.scopesOf(at), 3)),
      isMeasured && number(took === undefined ? "" : time(took[0])),
      number(count(flops)),
      number(bytes(moved)),
    );
  });
  const rest = dispatches.length - rows.length;
  return h(
    "div",
    {},
    table([`#`, "for", ...(isMeasured ? [numberHead("time")] : []), numberHead("flops"), numberHead("bytes")], rows),
    rest > 0 && h("p", { class: "soft" }, `and ${rest} more like these`),
  );
}

export function kernelDetails(app: App, name: string): HTMLElement {
  const { program, state } = app;
  const kernel = program.data.kernels.find((own) => own.name === name);
  if (kernel === undefined) return h("p", {}, "There is no such kernel.");
  const { alone } = kernel;
  const runs = (stage: StageModel): number[] =>
    stage.dispatches.flatMap((own, at) => (own.kernel === name ? [at] : []));
  const chosen = program.chosen(state.stage).filter((stage) => runs(stage).length > 0);
  const stages = chosen.length > 0 ? chosen : program.stages.filter((stage) => runs(stage).length > 0);
  const [stage] = stages;
  const cost = costsOfKernels(stages).get(name);
  const own = stages.flatMap((at) => runs(at).map((dispatch) => [at, dispatch] as const));
  const nodes = own.flatMap(([at, dispatch]) => at.dispatches[dispatch]!.nodes.map((id) => at.nodes[id]!));
  return h(
    "div",
    {},
    h("h2", {}, name),
    h("p", {}, purpose(kernel.wgsl)),
    facts([
      [`in ${stages.map((at) => at.name).join(", ")}`, `${own.length} dispatches`],
      ...timeFacts(cost),
      ["flops", count(cost?.flops ?? 0)],
      ["reads", bytes(cost?.reads ?? 0)],
      ["writes", bytes(cost?.writes ?? 0)],
      ["workgroup", `${kernel.workgroup} invocations`],
      ["grid of the first", stage?.dispatches[runs(stage)[0]!]?.grid.join(" × ")],
    ]),
    h("h3", {}, "Lines of the formula"),
    linesOf(app, nodes),
    h("h3", {}, "Modules"),
    siteChips(sitesOfKernel(stages, name), 40),
    h("h3", {}, "Dispatches"),
    ...stages.map((at) =>
      h("div", {}, stages.length > 1 && h("p", { class: "soft" }, at.name), dispatchesTable(at, runs(at))),
    ),
    stage !== undefined &&
      h("div", {}, h("h3", {}, "Parts of the first dispatch"), partsView(app, stage, runs(stage)[0]!)),
    h(
      "h3",
      {},
      ...["WGSL ", copyButton(kernel.wgsl), " "],
      alone !== undefined &&
        h(
          "button",
          {
            ...{
              type: "button",
              class: "tool",
              title: "A page that runs this kernel by itself and checks its results",
            },
            click: () => save("kernel.html", "text/html", kernelPage(kernel, alone)),
          },
          "Run alone",
        ),
    ),
    wgslView(kernel.wgsl),
  );
}
