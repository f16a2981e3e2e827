/** What two reports are compared by: parts of their data, as dumps have them. */
import type { Dump } from "../diff.ts";
import type { PageNode, ProgramModel } from "./model.ts";

const roles = /^(input|weight|param|buffer) /;

function nodeOf({ name, scope, line, isBackward, flops }: PageNode): Dump["graphs"][string]["nodes"][number] {
  const at = line.lastIndexOf(":");
  return {
    op: roles.test(name) ? "port" : name.split(" ")[0]!,
    flops,
    ...(scope === "" ? {} : { scope }),
    ...(line === "" ? {} : { location: { file: line.slice(0, at), line: Number(line.slice(at + 1)) } }),
    ...(isBackward ? { phase: "backward" as const } : {}),
  };
}

export function dumpOf({ data, stages }: ProgramModel): Dump {
  const { batch, length, kernels, memory } = data;
  return {
    plan: {
      ...{ batch, length, kernels, peakBytes: memory.peakBytes },
      stages: stages.map(({ name, dispatches }) => ({
        name,
        dispatches: dispatches.map((own) => ({ ...own, grid: own.grid as readonly [number, number, number] })),
      })),
    },
    timeline: data.decisions.map(({ stage, pass, scopes, decision, candidates }) => ({
      ...{ stage, pass },
      notes: [{ scopes, decision, candidates }],
    })),
    graphs: Object.fromEntries(stages.map(({ name, nodes }) => [name, { nodes: nodes.map(nodeOf) }])),
  };
}
