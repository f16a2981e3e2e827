/** What dispatches are for, as tools that watch a device show it: `layers.0.self_attn.q_proj,v_proj`. */
import type { Dispatch, Generated } from "../../../codegen/plan.ts";
import { modulesOf } from "../../../ir/modules.ts";
import { workOf } from "../../../ir/registry.ts";
import type { Stage } from "../../../program/index.ts";

/** Modules by what all of their paths begin with, and the rest of each. */
function joinedPaths(paths: readonly string[]): string {
  const parts = paths.map((path) => path.split("."));
  const [first = []] = parts;
  const differs = first.findIndex((part, at) => parts.some((own) => own[at] !== part || at === own.length - 1));
  const shared = differs < 0 ? first.length : differs;
  const ends = [...new Set(parts.map((own) => own.slice(shared).join(".")))].join(",");
  return [...first.slice(0, shared), ends].join(".");
}

/** By dispatch: the modules that it is for, or its kernel where that belongs to none. */
export function dispatchLabels(
  { stages }: { readonly stages: readonly Stage[] },
  { plan }: Pick<Generated, "plan">,
): Map<Dispatch, string> {
  const labels = new Map<Dispatch, string>();
  for (const { name, dispatches } of plan.stages) {
    const graph = stages.find((stage) => stage.name === name)?.graph;
    for (const dispatch of dispatches) {
      const modules = graph === undefined ? [] : modulesOf(workOf(graph, dispatch.nodes));
      labels.set(dispatch, `${name}: ${modules.length === 0 ? dispatch.kernel : joinedPaths(modules)}`);
    }
  }
  return labels;
}
