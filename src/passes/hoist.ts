/**
 * Moves what parameters alone decide out of a stage that runs for every batch: Cayley maps, norms, rows of prompt encoders. It is made when
 * parameters have changed, in a stage of its own, and read from storage like a parameter. Gradients with respect to such values are added up
 * over the batches of a step; as the chain rule is linear, one backward pass through what they are made of turns the sums into gradients of
 * the parameters.
 *
 *   stage = rest(inputs, values(parameters))     backward(d rest / d values, parameters) = sum of d rest / d values * d values / d parameters
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, type Node, type Output, portName, portRole } from "../ir/graph.ts";
import { flopsOf, isHeavy } from "../ir/registry.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { dependsOnParams, differentiate } from "./differentiate.ts";
import { rebuild } from "./rewrite.ts";
import { type Frontier, frontier, knownNodes, numbered, splitAt, worthKeeping } from "./split.ts";

/** What is worth a place in storage: of values that share parameters all or none. */
interface Thresholds {
  /** Flops that they take for every number of the parameters that the rest reads too. */
  readonly least: number;
  /** Numbers that they have for every number of the parameters that they are made of. */
  readonly most: number;
}

/** Less flops are what a pass over parameters takes: where the rest reads them, gradients through values are added to those that it gives. */
const forStage: Thresholds = { least: 8, most: 4 };
/** What only the backward pass reads has no gradient. */
const forBackward: Thresholds = { least: 0, most: 8 };

/** What a value is made of. */
interface Origin {
  readonly params: ReadonlySet<number>;
  /** Whether something of them is summed, contracted, scattered or inverted on the way. */
  readonly heavy: boolean;
}

/** Of the nodes that are known without inputs. */
function originsOf(graph: Graph, known: readonly boolean[]): readonly Origin[] {
  const origins: Origin[] = [];
  graph.nodes.forEach((node, id) => {
    if (!known[id]) return;
    if (node.op === "port" && portRole(node) === "param") {
      origins[id] = { params: new Set([id]), heavy: false };
      return;
    }
    const inputs = node.inputs.map((i) => origins[i]!).filter(({ params }) => params.size > 0);
    const [first = new Set<number>(), ...others] = new Set(inputs.map(({ params }) => params));
    const params = others.length === 0 ? first : new Set([...first, ...others.flatMap((set) => [...set])]);
    origins[id] = { params, heavy: params.size > 0 && (isHeavy(node) || inputs.some(({ heavy }) => heavy)) };
  });
  return origins;
}

const sizeAt = ({ nodes }: Graph, id: number): number => sizeOf((nodes[id]!.type as TensorType).shape);
const numbersOf = (graph: Graph, ids: Iterable<number>): number =>
  [...ids].reduce((sum, id) => sum + sizeAt(graph, id), 0);

const withoutInputs = (graph: Graph): readonly boolean[] =>
  knownNodes(graph, (leaf) => leaf.op !== "port" || portRole(leaf) !== "input");

/** Those values that are worth a place. */
function worthAPlace(
  graph: Graph,
  origins: readonly Origin[],
  { values, isRead }: Frontier,
  { least, most }: Thresholds,
): number[] {
  const groups: { readonly params: Set<number>; readonly ids: number[] }[] = [];
  for (const id of values) {
    const { params } = origins[id]!;
    const joined = groups.filter((group) => [...params].some((param) => group.params.has(param)));
    const merged = { params: new Set(params), ids: [id] };
    for (const group of joined) {
      for (const param of group.params) merged.params.add(param);
      merged.ids.push(...group.ids);
      groups.splice(groups.indexOf(group), 1);
    }
    groups.push(merged);
  }
  const isWorth = ({ params, ids }: (typeof groups)[number]): boolean => {
    const read = numbersOf(graph, [...params].filter(isRead));
    return numbersOf(graph, ids) <= most * numbersOf(graph, params) && flopsBehind(graph, origins, ids) >= least * read;
  };
  return groups
    .filter(isWorth)
    .flatMap(({ ids }) => ids)
    .sort((a, b) => a - b);
}

/** Flops that parameters alone decide, of all that values are made of. */
function flopsBehind(graph: Graph, origins: readonly Origin[], ids: readonly number[]): number {
  const seen = new Set(ids);
  let flops = 0;
  for (const id of seen) {
    const node = graph.nodes[id]!;
    flops += flopsOf(graph, node);
    for (const input of node.inputs) if (origins[input]!.params.size > 0) seen.add(input);
  }
  return flops;
}

export interface Hoisted {
  /** The stage, which reads the values from ports with the role of parameters. */
  readonly main: Graph;
  /** Parameters to values. */
  readonly parameters: Graph;
}

/**
 * The stage without what parameters alone decide. `name` stands before the names of the values. What kernels would fuse with their readers
 * stays there: views, and arithmetic that nothing heavy stands before.
 */
export function hoist(graph: Graph, name: string): Hoisted {
  const source = compact(graph, true);
  const known = withoutInputs(source);
  const origins = originsOf(source, known);
  const found = frontier(source, source.outputs, {
    known,
    isWorth: (id) => {
      const { heavy, params } = origins[id]!;
      return heavy && sizeAt(source, id) <= forStage.most * numbersOf(source, params);
    },
  });
  const values = numbered(`${name}.hoisted.`, worthAPlace(source, origins, found, forStage));
  if (values.length === 0) return { main: graph, parameters: { ...graph, nodes: [], outputs: [] } };
  const { earlier, rest } = splitAt(source, values, source.outputs, "param");
  const trained = dependsOnParams(earlier);
  const still = new Set(earlier.outputs.filter(({ node }) => !trained[node]).map((output) => output.name));
  return { main: withoutGradient(rest, still), parameters: earlier };
}

/** No gradient flows to the ports of these names. */
function withoutGradient(graph: Graph, names: ReadonlySet<string>): Graph {
  if (names.size === 0) return graph;
  const builder = new Builder(graph.name);
  const ids = rebuild(graph, builder, ({ op, attributes }) =>
    op === "port" && names.has(attributes.name as string)
      ? builder.add("stop_gradient", [builder.add(op, [], attributes)])
      : undefined,
  );
  return compact(builder.finish(graph.outputs.map(({ name, node }) => ({ name, node: ids[node]! }))));
}

/**
 * The graph of values with outputs `grad.KEY` beside them: of the gradients that `given` has (by output: `main` as it was differentiated) to
 * those of all of `params`. They are the derivative of the sum of values times their gradients.
 */
export function withBackward(parameters: Graph, given: Graph, params: readonly Node[]): Graph {
  const products = new Builder(parameters.name);
  const ids = rebuild(parameters, products);
  const has = new Set(given.outputs.map(({ name }) => name));
  const gradient = (builder: Builder, name: string, shape: readonly number[]): number =>
    builder.port(`grad.${name}`, "input", "f32", shape);
  const terms = parameters.outputs.flatMap(({ name, node }) => {
    const value = ids[node]!;
    const shape = products.shape(value);
    return has.has(`grad.${name}`)
      ? [products.sum(products.mul(value, gradient(products, name, shape)), [...shape.keys()])]
      : [];
  });
  const loss = terms.reduce((a, b) => products.plus(a, b), products.constant(0));
  const values = parameters.outputs.map(({ name, node }) => ({ name, node: ids[node]! }));
  const differentiated = differentiate(products.finish([...values, { name: "loss", node: loss }]), { zeros: false });
  const builder = new Builder(parameters.name);
  const made = rebuild(differentiated, builder);
  const node = new Map(differentiated.outputs.map((output) => [output.name, made[output.node]!]));
  const outputs = params.flatMap((port): Output[] => {
    const [name, { shape }] = [`grad.${portName(port)}`, port.type as TensorType];
    const own = node.get(name);
    if (own === undefined) return has.has(name) ? [] : [{ name, node: builder.constant(0, shape) }];
    return [{ name, node: has.has(name) ? builder.plus(gradient(builder, portName(port), shape), own) : own }];
  });
  return builder.finish([...parameters.outputs.map(({ name }) => ({ name, node: node.get(name)! })), ...outputs]);
}

/** The graph of `withBackward` in two: values, with what the backward pass needs of them, and the backward pass. */
export function splitBackward(graph: Graph, name: string): { readonly parameters: Graph; readonly backward: Graph } {
  const source = compact(graph, true);
  const [values, gradients] = [true, false].map((isValue) =>
    source.outputs.filter((output) => output.name.startsWith(`${name}.hoisted.`) === isValue),
  );
  const given = new Set(values!.map(({ node }) => node));
  const known = withoutInputs(source);
  const origins = originsOf(source, known);
  const found = frontier(source, gradients!, {
    known,
    isWorth: (id) => {
      const { heavy, params } = origins[id]!;
      const [size, flops] = [sizeAt(source, id), flopsBehind(source, origins, [id])];
      return heavy && flops >= worthKeeping * size && size <= forBackward.most * numbersOf(source, params);
    },
    given,
  });
  const others = { ...found, values: found.values.filter((id) => !given.has(id)) };
  const kept = numbered(`${name}.kept.`, worthAPlace(source, origins, others, forBackward));
  const { earlier, rest } = splitAt(source, [...values!, ...kept], gradients!, "param");
  return { parameters: earlier, backward: rest };
}
