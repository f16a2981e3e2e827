/** Details of a kernel: what it computes, for whom, in which parts, and its text. */
import type { App } from "./app.ts";
import { nodeChip, siteChips } from "./chips.ts";
import { costsOfKernels, sitesOfKernel } from "./costs.ts";
import { errorFacts, facts, linesOf, timeFacts } from "./detail-parts.ts";
import { chip, h, number, numberHead, table } from "./dom.ts";
import { bytes, count, plural, shortPath, time } from "./format.ts";
import { purpose } from "./kernels.ts";
import type { StageModel } from "./model.ts";
import { partsView } from "./parts.ts";
import { kernelPage } from "./run-alone.ts";
import { save } from "./save.ts";
import { type HeldValue, wgslView } from "./wgsl.ts";

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

/** What variables of a kernel hold in a dispatch: a node for every part, the first of which is selected. */
function heldValues({ program }: App, stage: StageModel, at: number): Map<string, HeldValue> {
  const { kernel, parts } = stage.dispatches[at]!;
  const names = program.data.kernels.find(({ name }) => name === kernel)?.variables ?? [];
  const said = (id: number): HTMLElement => {
    const { name, type, scope, line } = stage.nodes[id]!;
    const place = [shortPath(scope), line === "" ? "" : `${line}  ${program.lineText(line)}`];
    return h(
      "p",
      {},
      nodeChip(stage.name, id, name),
      h("code", {}, ` ${type} `),
      h("span", { class: "soft" }, place.filter((text) => text !== "").join(" · ")),
    );
  };
  return new Map(
    names.flatMap((name, i): [string, HeldValue][] => {
      const nodes = [...new Set(parts.map((part) => part.variables[i]!))].filter((id) => stage.nodes[id] !== undefined);
      if (nodes.length === 0) return [];
      const head = h("p", {}, h("code", {}, name), ` holds, in dispatch ${at} of ${stage.name},`);
      return [[name, { ref: `node:${stage.name}/${nodes[0]}`, said: [head, ...nodes.map(said)] }]];
    }),
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
      ...errorFacts(cost?.errors),
      ["flops", count(cost?.flops ?? 0)],
      ["reads", bytes(cost?.reads ?? 0)],
      ["writes", bytes(cost?.writes ?? 0)],
      ["workgroup", plural(kernel.workgroup, "invocation")],
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
    wgslView(kernel.wgsl, stage === undefined ? undefined : heldValues(app, stage, runs(stage)[0]!)),
  );
}
