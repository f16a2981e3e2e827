/** Details of the selection: a record per kind of what can be selected. */
import type { App } from "./app.ts";
import { kernelChip, nodeChip, siteChip, siteChips } from "./chips.ts";
import { errorFacts, facts, linesOf, some, timeFacts } from "./detail-parts.ts";
import { kernelDetails } from "./details-kernel.ts";
import { chip, h, number, numberHead, table } from "./dom.ts";
import { bytes, count, shortPath } from "./format.ts";
import { fromOther, idOf, isOfOther, isSite, kindOf, ofOther, type PageNode, type Ref, type RefKind } from "./model.ts";
import { partsView } from "./parts.ts";

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
      ...(dispatch.time === undefined ? [] : timeFacts({ ms: dispatch.time[0], leastMs: dispatch.time[1] })),
      ...errorFacts(dispatch.errors),
      ["flops", count(dispatch.flops)],
      ["bytes read", bytes(dispatch.reads)],
      ["bytes written", bytes(dispatch.writes)],
      ["bound", bytes(dispatch.bound)],
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
      ...errorFacts(stage?.errors.get(at)),
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
  const text = app.program.lineText(line);
  if (text === "" && nodes.length === 0) return h("p", {}, `There is no line ${line} in the formula.`);
  return h(
    "div",
    {},
    h("h2", {}, line),
    h("pre", {}, text),
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
  if (all.length === 0) return h("p", {}, `There is no module ${site} in the program.`);
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

/** Details of something in the program that this one is compared with: what they lead to is there too. */
function detailsOfOther(app: App, ref: Ref): HTMLElement {
  const { other } = app;
  if (other === undefined) return h("p", {}, "This is in a program that is not open any more.");
  const stage = other.chosen(app.state.stage).length > 0 ? app.state.stage : other.mainStage;
  const details = views[kindOf(ref)](
    {
      ...{ program: other, other: app.program, problem: "", state: { ...app.state, stage } },
      ...{ go: (change) => app.go(change), open: (file) => app.open(file) },
    },
    idOf(ref),
  );
  for (const element of details.querySelectorAll("[data-ref]"))
    element.setAttribute("data-ref", ofOther(element.getAttribute("data-ref") as Ref));
  return h("div", {}, h("p", { class: "only-b-text" }, "in B"), details);
}

export const detailsOf = (app: App, ref: Ref): HTMLElement =>
  isOfOther(ref) ? detailsOfOther(app, fromOther(ref)) : views[kindOf(ref)](app, idOf(ref));
