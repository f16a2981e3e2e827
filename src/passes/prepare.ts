/**
 * Splits off what depends on frozen data only (weights, index tables, constants): rotary tables, squared row norms, DFT matrices. It runs
 * once, in the stage `prepare`, and the rest of the program reads it from the storage buffer `derived`.
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, isFrozenPort, type Node, type Output } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { rebuild } from "./rewrite.ts";

interface DerivedTensor {
  /** Port name in the main graph, output name in the prepare graph. */
  readonly name: string;
  readonly shape: readonly number[];
}

export interface PrepareSplit {
  readonly prepare: Graph;
  readonly main: Graph;
  readonly derived: readonly DerivedTensor[];
}

/** Flops per result element from which a value is worth keeping instead of recomputing where it is read. */
const worthKeeping = 4;

const isFrozenLeaf = (node: Node): boolean => node.op !== "port" || isFrozenPort(node);

/** Views, casts and leaves stay with their readers: keeping them would only copy. */
const isTransparent = (node: Node): boolean =>
  node.op === "cast" || ["leaf", "movement"].includes(opRecord(node.op).opClass);

/** Of the frozen nodes. */
function flopsPerElement(graph: Graph, frozen: readonly boolean[]): number[] {
  const work: number[] = [];
  graph.nodes.forEach((node, id) => {
    if (!frozen[id]) return;
    const own = opRecord(node.op).cost(
      node.inputs.map((i) => graph.nodes[i]!.type),
      node.attributes,
      node.type,
    ).flops;
    const size = Math.max(1, sizeOf((node.type as TensorType).shape));
    work[id] = own / size + node.inputs.reduce((sum, i) => sum + work[i]!, 0);
  });
  return work;
}

/** Nodes of `graph` that move to `prepare`: frozen, worth it, and read by something that stays. */
function cutNodes(graph: Graph): ReadonlySet<number> {
  const frozen: boolean[] = [];
  graph.nodes.forEach((node) => {
    frozen.push(node.inputs.length === 0 ? isFrozenLeaf(node) : node.inputs.every((i) => frozen[i]!));
  });
  const work = flopsPerElement(graph, frozen);
  const needed = graph.nodes.map(() => false);
  for (const output of graph.outputs) needed[output.node] = true;
  const cut = new Set<number>();
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id]!;
    if (!needed[id]) continue;
    const isF32 = node.type.kind === "tensor" && node.type.dtype === "f32";
    if (frozen[id] && isF32 && !isTransparent(node) && work[id]! >= worthKeeping) cut.add(id);
    else for (const input of node.inputs) needed[input] = true;
  }
  return cut;
}

export function splitPrepare(graph: Graph): PrepareSplit {
  const source = compact(graph, true);
  const cut = [...cutNodes(source)].sort((a, b) => a - b);
  const names = new Map(cut.map((id, i) => [id, `derived.${i}`]));
  const derived = cut.map((id) => ({ name: names.get(id)!, shape: (source.nodes[id]!.type as TensorType).shape }));
  const main = new Builder(source.name);
  const ids = rebuild(source, main, (node, _inputs, id) => {
    const name = names.get(id);
    return name === undefined ? undefined : main.port(name, "buffer", "f32", (node.type as TensorType).shape);
  });
  const outputs: Output[] = cut.map((id) => ({ name: names.get(id)!, node: id }));
  return {
    prepare: compact({ name: "prepare", nodes: source.nodes, outputs }),
    main: compact(main.finish(source.outputs.map((o) => ({ name: o.name, node: ids[o.node]! })))),
    derived,
  };
}

export interface JoinedStages {
  readonly prepare: Graph;
  readonly mains: readonly Graph[];
  readonly derived: readonly DerivedTensor[];
}

/** Splits several stages at once: values that they share are derived once and have one name. */
export function joinPrepared(graphs: readonly Graph[]): JoinedStages {
  const builder = new Builder("prepare");
  const derived = new Map<number, DerivedTensor>();
  const mains = graphs.map((graph) => {
    const split = splitPrepare(graph);
    const ids = rebuild(split.prepare, builder);
    const names = new Map(
      split.prepare.outputs.map((output) => {
        const id = ids[output.node]!;
        const name = `derived.${derived.has(id) ? [...derived.keys()].indexOf(id) : derived.size}`;
        if (!derived.has(id)) derived.set(id, { name, shape: builder.shape(id) });
        return [output.name, name] as const;
      }),
    );
    return renamePorts(split.main, names);
  });
  const outputs = [...derived].map(([node, { name }]) => ({ name, node }));
  return { prepare: compact(builder.finish(outputs)), mains, derived: [...derived.values()] };
}

function renamePorts(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const nodes = graph.nodes.map((node) => {
    const name = node.op === "port" ? names.get(node.attributes.name as string) : undefined;
    return name === undefined ? node : { ...node, attributes: { ...node.attributes, name } };
  });
  return { ...graph, nodes };
}
