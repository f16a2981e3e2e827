/**
 * Splits off what depends on frozen data only (weights, index tables, constants): rotary tables, squared row norms, DFT matrices. It runs
 * once, in the stage `prepare`, and the rest of the program reads it from the storage buffer `derived`.
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, isFrozenPort, portName } from "../ir/graph.ts";
import { flopsOf } from "../ir/registry.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { rebuild } from "./rewrite.ts";
import { frontier, knownNodes, numbered, splitAt, worthKeeping } from "./split.ts";

/** A value of the stage `prepare`: name of the output there, and of the port in the rest. */
interface DerivedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface PrepareSplit {
  readonly prepare: Graph;
  readonly main: Graph;
  readonly derived: readonly DerivedTensor[];
}

/** Of the frozen nodes, flops of an element with all that it is made of. */
function flopsPerElement(graph: Graph, frozen: readonly boolean[]): number[] {
  const work: number[] = [];
  graph.nodes.forEach((node, id) => {
    if (!frozen[id]) return;
    const size = Math.max(1, sizeOf((node.type as TensorType).shape));
    work[id] = flopsOf(graph, node) / size + node.inputs.reduce((sum, i) => sum + work[i]!, 0);
  });
  return work;
}

export function splitPrepare(graph: Graph): PrepareSplit {
  const source = compact(graph, true);
  const known = knownNodes(source, (leaf) => leaf.op !== "port" || isFrozenPort(leaf));
  const work = flopsPerElement(source, known);
  const found = frontier(source, source.outputs, { known, isWorth: (id) => work[id]! >= worthKeeping });
  const values = numbered("derived.", found.values);
  const { earlier, rest } = splitAt(source, values, source.outputs, "buffer");
  return {
    prepare: { ...earlier, name: "prepare" },
    main: rest,
    derived: values.map(({ name, node }) => ({ name, shape: (source.nodes[node]!.type as TensorType).shape })),
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
    return renamePorts(split.main, (name) => names.get(name) ?? name);
  });
  const outputs = [...derived].map(([node, { name }]) => ({ name, node }));
  return { prepare: compact(builder.finish(outputs)), mains, derived: [...derived.values()] };
}

export function renamePorts(graph: Graph, renamed: (name: string) => string): Graph {
  const nodes = graph.nodes.map((node) => {
    const name = node.op === "port" ? renamed(portName(node)) : undefined;
    return name === undefined || name === portName(node) ? node : { ...node, attributes: { ...node.attributes, name } };
  });
  return { ...graph, nodes };
}
