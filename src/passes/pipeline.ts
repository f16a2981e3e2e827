/**
 * The pipeline, top-down: what happens to the graph of one stage from the base model with sites to tensor IR.
 *
 *   base graph -> attach -> algebra -> associate -> [differentiate] -> simplify -> (prepare) -> partition -> (codegen: fuse, schedule, plan)
 */
import type { Graph } from "../ir/graph.ts";
import { algebraRules } from "./algebra.ts";
import { associate } from "./associate.ts";
import { type Attachment, attach } from "./attach.ts";
import { differentiate } from "./differentiate.ts";
import type { PassManager } from "./manager.ts";
import { partition } from "./partition.ts";
import { substitutePorts } from "./project.ts";
import { rewrite } from "./rewrite.ts";
import { simplifyRules } from "./simplify.ts";

export interface StageOptions {
  /** Costs count backward work too, and gradients are added for every param port. */
  readonly gradients: boolean;
  /** Whether adapters may be folded into weights where that costs less; true unless given. */
  readonly fold?: boolean | undefined;
  /** Parameters are replaced by these projections of them (evaluation and merging; training projects in place). */
  readonly projection?: Graph | undefined;
}

/** Lowers a base graph with sites to tensor IR; every step is an entry of the manager's timeline. */
export function lowerModelStage(
  manager: PassManager,
  stage: string,
  base: Graph,
  attachment: Attachment,
  options: StageOptions,
): Graph {
  manager.run("build", stage, () => ({ graph: base }));
  manager.run("attach", stage, (graph) => ({ graph: attach(graph, attachment) }));
  return lowerOperatorStage(manager, stage, options);
}

/** The rest of the pipeline, for a stage whose graph has operators but no sites. */
export function lowerOperatorStage(manager: PassManager, stage: string, options: StageOptions): Graph {
  const { projection } = options;
  if (projection !== undefined)
    manager.run("project", stage, (graph) => ({ graph: substitutePorts(graph, projection) }));
  manager.run("algebra", stage, (graph) => rewrite(graph, algebraRules));
  manager.run("associate", stage, (graph) => associate(graph, { train: options.gradients, fold: options.fold }));
  if (options.gradients) manager.run("differentiate", stage, (graph) => ({ graph: differentiate(graph) }));
  return manager.run("simplify", stage, (graph) => rewrite(graph, simplifyRules));
}

/** The stage with no value that is too large for a binding of the target, as far as its ops can be done in parts. */
export function partitionStage(
  manager: PassManager,
  stage: string,
  graph: Graph,
  limits: { readonly maxStorageBufferBindingSize: number },
): Graph {
  return manager.run("partition", stage, () => partition(graph, limits.maxStorageBufferBindingSize));
}
