/** What dispatches are for, as tools that watch a device show it: `layers.0.self_attn.q_proj,v_proj`. */
import type { Dispatch, Generated } from "../../../codegen/plan.ts";
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

/** By dispatch: the modules of what it stores, or its kernel where that belongs to none. */
export function dispatchLabels(
  { stages }: { readonly stages: readonly Stage[] },
  { plan, parts }: Pick<Generated, "plan" | "parts">,
): Map<Dispatch, string> {
  const labels = new Map<Dispatch, string>();
  for (const { stage, stored } of parts) {
    const nodes = stages.find(({ name }) => name === stage)?.graph.nodes ?? [];
    plan.stages
      .find(({ name }) => name === stage)
      ?.dispatches.forEach((dispatch, at) => {
        const scopes = [...new Set(stored[at]!.flat().map((id) => nodes[id]?.scope ?? ""))].filter(Boolean);
        labels.set(dispatch, scopes.length === 0 ? `${stage}: ${dispatch.kernel}` : `${stage}: ${joinedPaths(scopes)}`);
      });
  }
  return labels;
}
