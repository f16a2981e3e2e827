/** Details of the selection: a record per kind of what can be selected. */
import type { App } from "./app.ts";
import { kernelChip, nodeChip, siteChip, siteChips } from "./chips.ts";
import { costsOfKernels, sitesOfKernel } from "./costs.ts";
import { type Child, chip, h, number, numberHead, table } from "./dom.ts";
import { bytes, count, shortPath } from "./format.ts";
import { purpose } from "./kernels.ts";
import { idOf, isSite, kindOf, type PageNode, type Ref, type RefKind, type StageModel } from "./model.ts";
import { partsView } from "./parts.ts";
import { wgslView } from "./wgsl.ts";

const facts = (entries: readonly (readonly [string, Child])[]): HTMLElement =>
  h("dl", { class: "facts" }, ...entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

const some = <T>(items: readonly T[], most: number, view: (item: T) => Node): HTMLElement =>
  h(
    "span",
    { class: "chips" },
    ...items.slice(0, most).map(view),
    items.length > most && h("span", { class: "soft" }, `+${items.length - most}`),
  );

/** The lines of the formula that nodes were written in. */
function linesOf(app: App, nodes: readonly PageNode[]): HTMLElement {
  const lines = [...new Set(nodes.map(({ line }) => line).filter((line) => line !== ""))].sort();
  if (lines.length === 0) return h("p", { class: "soft" }, "No line of the formula: it is the base model's.");
  return h(
    "div",
    { class: "formula" },
    ...lines.map((line) =>
      h(
        "button",
        { type: "button", class: "formula-line", "data-ref": `line:${line}` },
        h("span", { class: "soft" }, line),
        ` ${app.program.lineText(line)}`,
      ),
    ),
  );
}

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
  const rows = dispatches.slice(0, 12).map((at) => {
    const { flops, bytes: moved } = stage.dispatches[at]!;
    return h(
      "tr",
      { "data-ref": `dispatch:${stage.name}/${at}` },
      h("td", {}, chip(`dispatch:${stage.name}/${at}`, String(at))),
      h("td", {}, siteChips(stage.scopesOf(at), 3)),
      number(count(flops)),
      number(bytes(moved)),
    );
  });
  const rest = dispatches.length - rows.length;
  return h(
    "div",
    {},
    table([`#`, "for", numberHead("flops"), numberHead("bytes")], rows),
    rest > 0 && h("p", { class: "soft" }, `and ${rest} more like these`),
  );
}

function kernelDetails(app: App, name: string): HTMLElement {
  const { program, state } = app;
  const kernel = program.data.kernels.find((own) => own.name === name);
  if (kernel === undefined) return h("p", {}, "There is no such kernel.");
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
      ["flops", count(cost?.flops ?? 0)],
      ["bytes moved", bytes(cost?.bytes ?? 0)],
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
    h("h3", {}, "WGSL ", copyButton(kernel.wgsl)),
    wgslView(kernel.wgsl),
  );
}

function dispatchDetails(app: App, id: string): HTMLElement {
  const { stage, at } = app.program.place(id) ?? {};
  const dispatch = at === undefined ? undefined : stage?.dispatches[at];
  if (stage === undefined || dispatch === undefined || at === undefined)
    return h("p", {}, "There is no such dispatch.");
  const nodes = dispatch.nodes.map((node) => stage.nodes[node]!);
  const stored = dispatch.parts.flatMap((part) => part.stored);
  return h(
    "div",
    {},
    h("h2", {}, `Dispatch ${at} of ${stage.name}`),
    facts([
      ["kernel", kernelChip(dispatch.kernel)],
      ["flops", count(dispatch.flops)],
      ["bytes moved", bytes(dispatch.bytes)],
      ["grid", dispatch.grid.join(" × ")],
      ["runs", dispatch.always ? "always" : `for ${dispatch.outputs.join(", ")}`],
      ["stores", some(stored, 12, (node) => nodeChip(stage.name, node, stage.nodes[node]?.name ?? "copy"))],
      ["reads", some(stage.readOf(at), 12, (node) => nodeChip(stage.name, node, stage.nodes[node]!.name))],
      ["computes", some(nodes, 24, (node) => nodeChip(stage.name, node.id, node.name))],
    ]),
    h("h3", {}, "Lines of the formula"),
    linesOf(app, nodes),
    h("h3", {}, "Parts"),
    partsView(app, stage, at),
  );
}

function nodeDetails(app: App, id: string): HTMLElement {
  const { graph, stage, at = -1 } = app.program.place(id) ?? {};
  const node = graph?.nodes[at];
  if (graph === undefined || node === undefined)
    return h("p", {}, "There is no such node; values behind the last one are copies.");
  const value = stage?.kept.get(at);
  const computed = stage?.computedBy.get(at) ?? [];
  const outputs = stage?.outputs.filter(([, of]) => of === at).map(([name]) => name) ?? [];
  return h(
    "div",
    {},
    h("h2", {}, `%${at} ${node.name}`),
    facts([
      ["type", node.type],
      ["size", bytes(node.bytes)],
      ["part of", node.isBackward ? "a gradient" : "the forward pass"],
      ...(node.scope === "" ? [] : [["module", siteChip(node.scope)] as const]),
      ...(node.flops === 0 ? [] : [["flops", count(node.flops)] as const]),
      ...(outputs.length === 0 ? [] : [["output", outputs.join(", ")] as const]),
      ["inputs", some(node.inputs, 12, (input) => nodeChip(graph.name, input, graph.nodes[input]!.name))],
      ["readers", some(graph.readers[at]!, 12, (reader) => nodeChip(graph.name, reader, graph.nodes[reader]!.name))],
      ...(stage === undefined || computed.length === 0
        ? []
        : [
            [
              computed.length === 1 ? "computed in" : `computed in ${computed.length} dispatches`,
              some(computed, 12, (dispatch) =>
                chip(`dispatch:${stage.name}/${dispatch}`, `${dispatch} ${stage.dispatches[dispatch]!.kernel}`),
              ),
            ] as const,
          ]),
      ...(value === undefined
        ? []
        : [
            ["in memory", `${value[1]} at ${value[2]}, ${bytes(value[3])}`] as const,
            ["why", value[6]] as const,
            ["from dispatch", chip(`dispatch:${stage!.name}/${value[4]}`, String(value[4]))] as const,
            ["to dispatch", chip(`dispatch:${stage!.name}/${value[5]}`, String(value[5]))] as const,
          ]),
    ]),
    h("h3", {}, "Line of the formula"),
    linesOf(app, [node]),
    graph.name !== "operators" &&
      computed.length > 0 &&
      h("p", {}, ...computed.slice(0, 1).map((dispatch) => kernelChip(stage!.dispatches[dispatch]!.kernel))),
  );
}

/** Kernels that compute some nodes, with what they cost, the dearest first. */
function kernelsFor(app: App, is: (node: PageNode) => boolean): HTMLElement {
  const stages = app.program.chosen(app.state.stage);
  const runs = new Map<string, { runs: number; flops: number }>();
  for (const stage of stages) {
    for (const { kernel, nodes, flops } of stage.dispatches) {
      if (!nodes.some((id) => is(stage.nodes[id]!))) continue;
      const known = runs.get(kernel) ?? { runs: 0, flops: 0 };
      runs.set(kernel, { runs: known.runs + 1, flops: known.flops + flops });
    }
  }
  const rows = [...runs].sort(([, a], [, b]) => b.flops - a.flops);
  return table(
    [`kernels of ${app.state.stage}`, numberHead("runs"), numberHead("flops")],
    rows.map(([kernel, own]) =>
      h(
        "tr",
        { "data-ref": `kernel:${kernel}` },
        h("td", {}, kernelChip(kernel)),
        number(own.runs),
        number(count(own.flops)),
      ),
    ),
  );
}

function lineDetails(app: App, line: string): HTMLElement {
  const nodes = app.program
    .chosen(app.state.stage)
    .flatMap((stage) => stage.nodes.filter((node) => node.line === line));
  return h(
    "div",
    {},
    h("h2", {}, line),
    h("pre", {}, app.program.lineText(line)),
    h(
      "p",
      {},
      `${nodes.length} nodes of ${app.state.stage}, ${nodes.filter((node) => node.isBackward).length} of them in gradients.`,
    ),
    kernelsFor(app, (node) => node.line === line),
    h("h3", {}, "Modules"),
    siteChips([...new Set(nodes.map(({ scope }) => scope).filter((scope) => scope !== ""))], 40),
  );
}

function siteDetails(app: App, site: string): HTMLElement {
  const { program } = app;
  const all = program.stages.flatMap((stage) => stage.nodes.filter(({ scope }) => isSite(scope, site)));
  const nodes = program
    .chosen(app.state.stage)
    .flatMap((stage) => stage.nodes.filter(({ scope }) => isSite(scope, site)));
  const decisions = program.data.decisions.filter(({ scopes }) => scopes.some((scope) => isSite(scope, site)));
  return h(
    "div",
    {},
    h("h2", {}, shortPath(site)),
    h("p", {}, `${nodes.length} nodes of ${app.state.stage}.`),
    h("h3", {}, "What was decided"),
    decisions.length === 0
      ? h("p", { class: "soft" }, "Nothing: there was one way.")
      : table(
          ["stage", "chosen", "costs"],
          decisions.map(({ stage, decision, candidates }) =>
            h(
              "tr",
              {},
              h("td", {}, stage),
              h("td", {}, h("b", {}, decision)),
              h(
                "td",
                {},
                Object.entries(candidates)
                  .map(([name, cost]) => `${name} ${count(cost)}`)
                  .join(", "),
              ),
            ),
          ),
        ),
    h("h3", {}, "Lines of the formula"),
    linesOf(app, all),
    kernelsFor(app, ({ scope }) => isSite(scope, site)),
    h("h3", {}, "Modules"),
    some([...new Set(all.map(({ scope }) => scope))], 40, siteChip),
  );
}

const views: Readonly<Record<RefKind, (app: App, id: string) => HTMLElement>> = {
  kernel: kernelDetails,
  dispatch: dispatchDetails,
  node: nodeDetails,
  line: lineDetails,
  site: siteDetails,
};

export const detailsOf = (app: App, ref: Ref): HTMLElement => views[kindOf(ref)](app, idOf(ref));
