/** Scopes in which graphs are built, and graphs beside the stages of a program: how a fresh adapter begins, how its parameters are projected, and what its file holds of computed tensors. */
import { Builder } from "../../ir/builder.ts";
import type { Graph, Output } from "../../ir/graph.ts";
import { runInput } from "../../ir/run-inputs.ts";
import { codings } from "../../program/index.ts";
import { keyAt, type Site } from "../site.ts";
import { evaluation } from "../situation.ts";
import type { TensorItem } from "./ast.ts";
import type { SiteOperands } from "./elaboration-types.ts";
import { constantScalars } from "./placeholders.ts";
import { type BuildScope, type ModelScope, Scope, siteScope } from "./scope.ts";
import { coding } from "./site-entries.ts";
import {
  computedNode,
  firstValue,
  isEmpty,
  ownTensors,
  portOf,
  projected,
  projects,
  tensorsOf,
} from "./site-tensors.ts";

/** The scope of a site, or of the whole model, where graphs are built of the adapter's tensors. */
export function building(model: ModelScope, site: Site | undefined, given: Omit<BuildScope, "tensor">): Scope {
  const tensor = (item: TensorItem): number =>
    item.role === "computed" ? computedNode(scope, item) : readNode(scope, item);
  const build = { ...given, tensor };
  const scope: Scope =
    site === undefined ? new Scope(model, undefined, undefined, build) : siteScope(model, site, build);
  return scope;
}

/** A tensor where formulas read it: a projected copy where projections are no stage of their own and the file does not hold it projected. */
function readNode(scope: Scope, item: TensorItem): number {
  const { purpose, fixed = false } = scope.model.situation;
  const form = fixed ? coding(scope, item) : undefined;
  const isProjected = purpose === "train" || (form !== undefined && codings[form.name].projected);
  return !isProjected && projects(scope, item) ? projected(scope, item) : portOf(scope, item);
}

/** The base's weight and bias at a site. */
export type BaseOf = (builder: Builder, site: Site) => Pick<SiteOperands, "weight" | "bias">;

/** The model where nothing is drawn. */
const still = (model: ModelScope): ModelScope => ({ ...model, situation: { ...model.situation, ...evaluation } });

/**
 * The program that makes a fresh adapter: outputs are the initial values of trained and frozen tensors, named by key. Random ones depend
 * on the port `seed`. `baseOf` gives what begins from the base, where something does.
 */
export function initialGraph(model: ModelScope, baseOf: BaseOf): Graph {
  const builder = new Builder("init");
  const seed = runInput(builder, "seed");
  const scalars = constantScalars(builder, 0, seed);
  const whole = new Scope(model);
  const shared = tensorsOf(whole, "shared").filter((item) => item.trained);
  const outputs = shared.map((item): Output => ({ name: item.key!, node: firstValue(whole, item, seed, builder) }));
  for (const site of model.sites) {
    const build: BuildScope = {
      builder,
      scalars,
      get weight() {
        return baseOf(builder, site).weight;
      },
      get base() {
        return baseOf(builder, site).weight;
      },
      get bias() {
        return baseOf(builder, site).bias;
      },
      tensor: (item) => firstValue(scope, item, seed, builder),
    };
    const scope: Scope = siteScope(still(model), site, build);
    for (const item of ownTensors(scope).filter((one) => !isEmpty(scope, one)))
      outputs.push({ name: keyAt(site, item.key!), node: build.tensor(item) });
  }
  return builder.finish(outputs);
}

/** Parameters to projected parameters, named by key; undefined when nothing is projected. */
export function projectionGraph(model: ModelScope): Graph | undefined {
  const builder = new Builder("project");
  const outputs = model.sites.flatMap((site): Output[] => {
    const scope = building(model, site, { builder });
    const items = ownTensors(scope).filter((item) => projects(scope, item));
    return items.map((item) => ({ name: keyAt(site, item.key!), node: projected(scope, item) }));
  });
  return outputs.length === 0 ? undefined : builder.finish(outputs);
}

/**
 * The program that makes what a file holds of computed tensors, on the host: ports are parameters, outputs are named by key. Undefined when
 * there are none.
 */
export function computedGraph(model: ModelScope): Graph | undefined {
  const builder = new Builder("computed");
  const scope = building(still(model), undefined, { builder, scalars: constantScalars(builder, 0) });
  const outputs = tensorsOf(scope, "computed").map((item) => ({ name: item.key!, node: computedNode(scope, item) }));
  return outputs.length === 0 ? undefined : builder.finish(outputs);
}
