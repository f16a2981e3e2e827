/** Graphs beside the stages of a program: how a fresh adapter begins, and how its parameters are projected. */
import { Builder } from "../../ir/builder.ts";
import type { Graph, Output } from "../../ir/graph.ts";
import { runInput } from "../../ir/run-inputs.ts";
import type { Site } from "../site.ts";
import { evaluation } from "../situation.ts";
import type { TensorItem } from "./ast.ts";
import type { SiteOperands } from "./operands.ts";
import { type BuildScope, type ModelScope, Scope, siteKey } from "./scope.ts";
import { initialValue, isEmpty, ownTensors, projected, projects, sharedTensors } from "./site-tensors.ts";
import { tensorValue } from "./value.ts";

/** The base's weight and bias at a site. */
export type BaseOf = (builder: Builder, site: Site) => Pick<SiteOperands, "weight" | "bias">;

type ScopeOf = (site: Site, build: BuildScope, model?: ModelScope) => Scope;

/**
 * The program that makes a fresh adapter: outputs are the initial values of trained and frozen tensors, named by key. Random ones depend
 * on the port `seed`. `baseOf` gives what begins from the base.
 */
export function initialGraph(model: ModelScope, scopeOf: ScopeOf, baseOf: BaseOf): Graph {
  const builder = new Builder("init");
  const seed = runInput(builder, "seed");
  const [zero, none] = [builder.constant(0, [], "u32"), builder.constant(0)];
  const whole = new Scope(model, undefined, undefined);
  const shared = sharedTensors(whole).filter((item) => item.trained === true);
  const outputs = shared.map((item): Output => ({ name: item.key!, node: initialValue(whole, item, seed, builder) }));
  for (const site of model.sites) {
    const build: BuildScope = {
      builder,
      get weight() {
        return baseOf(builder, site).weight;
      },
      get base() {
        return baseOf(builder, site).weight;
      },
      get bias() {
        return baseOf(builder, site).bias;
      },
      scalars: { seed, step: zero, sampleOffset: zero, pass: zero, training: none },
      tensor: (item) => firstValue(scope, item, seed, builder),
    };
    const scope: Scope = scopeOf(site, build, { ...model, situation: { ...model.situation, ...evaluation } });
    for (const item of ownTensors(scope).filter((one) => !isEmpty(scope, one)))
      outputs.push({ name: siteKey(site, item.key!), node: build.tensor(item) });
  }
  return builder.finish(outputs);
}

/** The first value of a tensor, made once at a site; it may be made of those of others. Throws METHOD-CYCLE. */
function firstValue(scope: Scope, item: TensorItem, seed: number, builder: Builder): number {
  const value = scope.once(`the first value of ${item.name}`, item.at, () =>
    tensorValue(initialValue(scope, item, seed, builder)),
  );
  return (value as { id: number }).id;
}

/** Parameters to projected parameters, named by key; undefined when nothing is projected. */
export function projectionGraph(
  model: ModelScope,
  scopeOf: ScopeOf,
  portOf: (scope: Scope, item: TensorItem, builder: Builder) => number,
): Graph | undefined {
  const builder = new Builder("project");
  const none = (): never => {
    throw new Error("a projection reads its parameter only");
  };
  const build: BuildScope = {
    builder,
    get weight() {
      return none();
    },
    get base() {
      return none();
    },
    get scalars() {
      return none();
    },
    tensor: none,
  };
  const outputs = model.sites.flatMap((site): Output[] => {
    const scope = scopeOf(site, build);
    const items = ownTensors(scope).filter((item) => projects(scope, item));
    return items.map((item) => ({
      name: siteKey(site, item.key!),
      node: projected(scope, item, portOf(scope, item, builder)),
    }));
  });
  return outputs.length === 0 ? undefined : builder.finish(outputs);
}
