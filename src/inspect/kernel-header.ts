/** What a kernel does in a program, as the comment above its text in a dump: which line it computes, for whom, how often, on what sizes. */
import { partWords, wordNames } from "../codegen/index.ts";
import { modulesOf } from "../ir/modules.ts";
import { workOf } from "../ir/registry.ts";
import { linesOf, pathsOf } from "./places.ts";
import type { InspectedProgram } from "./views.ts";

const [mostListed, mostWords] = [12, 8] as const;

const noGraph = { nodes: [] } as const;

const some = (items: readonly string[], between = ", "): string =>
  items.slice(0, mostListed).join(between) +
  (items.length > mostListed ? `${between}and ${items.length - mostListed} more` : "");

/** The line of a formula with what it says. */
function lineText({ adapter }: InspectedProgram, line: string): string {
  const at = line.lastIndexOf(":");
  const fragment = adapter?.fragments.find(({ file }) => file === line.slice(0, at));
  const text = fragment?.text.split("\n")[Number(line.slice(at + 1)) - fragment.line] ?? "";
  return `${line}  ${text.trim()}`;
}

/** Sizes that say how far something goes; strides and places are in the plan. */
const isExtent = (name: string): boolean => /_(end|by)(_\d+)?$/.test(name);

/** Comments for all kernels of a program, by name. */
export function kernelHeaders(program: InspectedProgram): Map<string, string> {
  const { plan, parts, kernels } = program.generated;
  const graphs = new Map(program.stages.map(({ name, graph }) => [name, graph]));
  const runs = new Map<string, { readonly stage: string; readonly at: number }[]>();
  for (const { name: stage, dispatches } of plan.stages)
    dispatches.forEach(({ kernel }, at) => {
      runs.set(kernel, [...(runs.get(kernel) ?? []), { stage, at }]);
    });
  return new Map(
    kernels.map(({ name, ir, workgroup }) => {
      const own = runs.get(name)!.map(({ stage, at }) => ({
        ...{ stage, at, dispatch: plan.stages.find((s) => s.name === stage)!.dispatches[at]! },
        stored: parts.find((p) => p.stage === stage)!.stored[at]!,
        graph: graphs.get(stage as never) ?? noGraph,
      }));
      const [first] = own;
      const all = own.map(({ dispatch, graph }) => workOf(graph, dispatch.nodes));
      const modules = [...new Set(all.flatMap(modulesOf))];
      const stages = [...new Set(own.map(({ stage }) => stage))].map(
        (stage) => `${stage} ${own.filter((run) => run.stage === stage).length}`,
      );
      const sum = (field: "flops" | "bytes"): number => own.reduce((total, { dispatch }) => total + dispatch[field], 0);
      const names = wordNames(ir);
      const record = partWords(ir.sizes);
      const sizesOf = (part: number): string => {
        const extents = names.flatMap((word, i) =>
          isExtent(word) ? [`${word} ${first!.dispatch.sizes[part * record + 2 + i]}`] : [],
        );
        return extents.slice(0, mostWords).join(", ");
      };
      const lines = [
        ...linesOf(all.flat()).map((line) => `line       ${lineText(program, line)}`),
        `computes   ${some(own.flatMap(({ stage, dispatch }) => dispatch.nodes.map((id) => `${stage}/%${id}`)))}`,
        ...(modules.length === 0 ? [] : [`for        ${some(modules)}`]),
        `runs       ${stages.join(", ")}`,
        `grid       ${first!.dispatch.grid.join(" x ")} workgroups of ${workgroup} invocations, the first time`,
        `work       ${sum("flops")} flop, ${sum("bytes")} bytes in all`,
        ...first!.stored.map(
          (stored, part) =>
            `part ${part}     ${some(pathsOf(stored.flatMap((id) => first!.graph.nodes[id] ?? [])))}: ${sizesOf(part)}`,
        ),
      ];
      // Names of files and modules may hold anything, and a comment ends with its line.
      return [name, lines.map((line) => `// ${line.replace(/[\p{Cc}\u2028\u2029]/gu, " ")}\n`).join("")];
    }),
  );
}
