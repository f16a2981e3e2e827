/**
 * The pipeline, top-down: what happens to the graph of one stage from the base model with sites to tensor IR.
 *
 *   build -> attach -> algebra -> associate -> (hoist) -> (differentiate) -> simplify -> prepare -> (recompute) -> partition
 *   -> (codegen: fuse, ...)
 *
 * Steps in parentheses are run where there is something for them; `prepare` looks at all stages at once (`joinPrepared`).
 */
import { type Graph, ports } from "../ir/graph.ts";
import { type MainStage, parameterStages } from "../program/index.ts";
import { algebraRules } from "./algebra.ts";
import { associate } from "./associate.ts";
import { type Attachment, attach } from "./attach.ts";
import { differentiate } from "./differentiate.ts";
import { hoist, splitBackward, withBackward } from "./hoist.ts";
import type { PassManager } from "./manager.ts";
import { partition } from "./partition.ts";
import { recompute } from "./recompute.ts";
import { rewrite } from "./rewrite.ts";
import { simplifyRules } from "./simplify.ts";

export interface StageOptions {
  /** Costs count backward work too, and gradients are added for every param port. */
  readonly gradients: boolean;
  /** Whether adapters may be folded into weights where that costs less; true unless given. */
  readonly fold?: boolean | undefined;
}

/** Lowers a base graph with sites to tensor IR; every step is an entry of the manager's timeline. */
export function lowerModelStage(
  manager: PassManager,
  stage: string,
  base: Graph,
  attachment: Attachment,
  options: StageOptions,
): Graph {
  attached(manager, stage, base, attachment);
  return lowerOperatorStage(manager, stage, options);
}

function attached(manager: PassManager, stage: string, base: Graph, attachment: Attachment): void {
  manager.run("build", stage, () => ({ graph: base }));
  manager.run("attach", stage, (graph) => ({ graph: attach(graph, attachment) }));
}

/** The rest of the pipeline, for a stage whose graph has operators but no sites. */
export function lowerOperatorStage(manager: PassManager, stage: string, options: StageOptions): Graph {
  associated(manager, stage, options);
  if (options.gradients) manager.run("differentiate", stage, (graph) => ({ graph: differentiate(graph) }));
  return simplified(manager, stage);
}

function associated(manager: PassManager, stage: string, { gradients, fold }: StageOptions): Graph {
  manager.run("algebra", stage, (graph) => rewrite(graph, algebraRules));
  return manager.run("associate", stage, (graph) => associate(graph, { train: gradients, fold }));
}

const simplified = (manager: PassManager, stage: string): Graph =>
  manager.run("simplify", stage, (graph) => rewrite(graph, simplifyRules));

/** A stage that holds the model, and what is done once for all its runs with the same parameters. */
export interface HoistedStage {
  readonly main: Graph;
  readonly parameters?: Graph;
  readonly backward?: Graph;
}

/** Lowers a base graph with sites to tensor IR, with what parameters alone decide in stages of its own. */
export function lowerHoistedStage(
  manager: PassManager,
  stage: MainStage,
  base: Graph,
  attachment: Attachment,
  options: StageOptions,
): HoistedStage {
  attached(manager, stage, base, attachment);
  return lowerHoistedOperatorStage(manager, stage, options);
}

/** The rest of it, for a stage whose graph has operators but no sites. */
export function lowerHoistedOperatorStage(manager: PassManager, stage: MainStage, options: StageOptions): HoistedStage {
  const whole = associated(manager, stage, options);
  const { main, parameters } = hoist(whole, stage);
  if (parameters.outputs.length === 0) {
    if (options.gradients) manager.run("differentiate", stage, (graph) => ({ graph: differentiate(graph) }));
    return { main: simplified(manager, stage) };
  }
  manager.run("hoist", stage, () => ({ graph: main }));
  const [before, after] = [parameterStages[stage], "parameters_backward"] as const;
  manager.run("hoist", before, () => ({ graph: parameters }));
  if (!options.gradients) return { main: simplified(manager, stage), parameters: simplified(manager, before) };
  const given = manager.run("differentiate", stage, (graph) => ({ graph: differentiate(graph, { zeros: false }) }));
  const params = ports(whole, "param").map(({ node }) => node);
  manager.run("differentiate", before, (graph) => ({ graph: withBackward(graph, given, params) }));
  const made = splitBackward(simplified(manager, before), stage);
  return {
    main: simplified(manager, stage),
    parameters: manager.run("hoist", before, () => ({ graph: { ...made.parameters, name: before } })),
    backward: manager.run("hoist", after, () => ({ graph: { ...made.backward, name: after } })),
  };
}

export interface SizeLimits {
  /** Bytes of a value, and of a table that is read. */
  readonly values: number;
  readonly tables: number;
  /** How many parts of the forward pass are made again for the backward pass. */
  readonly recomputed: number;
}

/** The stage with no value that is too large, as far as its ops can be done in parts. */
export function partitionStage(manager: PassManager, stage: string, graph: Graph, limits: SizeLimits): Graph {
  const { values, tables, recomputed } = limits;
  const whole = recomputed === 0 ? graph : manager.run("recompute", stage, () => recompute(graph, recomputed));
  return manager.run("partition", stage, () => partition(whole, values, tables));
}
