/** All op records, by name. A new op is a record in one of the lists below, and nothing else. */
import type { Graph, Node } from "./graph.ts";
import type { NodeWork } from "./modules.ts";
import type { OpRecord } from "./op-record.ts";
import { operators, readings } from "./operators/index.ts";
import { compositeOps } from "./ops/composite.ts";
import { contractionOps } from "./ops/contraction.ts";
import { indexOps } from "./ops/gather.ts";
import { leafOps } from "./ops/leaf.ts";
import { logicalOps } from "./ops/logical.ts";
import { matrixOps } from "./ops/matrix.ts";
import { movementOps } from "./ops/movement.ts";
import { pointwiseOps } from "./ops/pointwise.ts";
import { randomOps } from "./ops/random.ts";
import { reduceOps } from "./ops/reduce.ts";
import { siteOps } from "./ops/site.ts";

const all: readonly OpRecord[] = [
  ...leafOps,
  ...pointwiseOps,
  ...logicalOps,
  ...movementOps,
  ...reduceOps,
  ...contractionOps,
  ...indexOps,
  ...randomOps,
  ...matrixOps,
  ...compositeOps,
  ...operators,
  ...readings,
  ...siteOps,
];

const byName: ReadonlyMap<string, OpRecord> = new Map(all.map((record) => [record.name, record]));

export function opRecords(): readonly OpRecord[] {
  return all;
}

export function hasOp(name: string): boolean {
  return byName.has(name);
}

export const findOp = (name: string): OpRecord | undefined => byName.get(name);

export function opRecord(name: string): OpRecord {
  const record = byName.get(name);
  if (record === undefined) throw new Error(`no op is called ${name}`);
  return record;
}

const heavyClasses = ["reduce", "contraction", "scatter", "matrix"];

/** Whether an element of the result is made of many: such a value is made once, by a kernel that writes it. */
export const isHeavy = (node: Node): boolean => heavyClasses.includes(opRecord(node.op).opClass);

/** Operations of a node, whole. */
export function flopsOf({ nodes }: Pick<Graph, "nodes">, { op, inputs, attributes, type }: Node): number {
  const types = inputs.map((i) => nodes[i]!.type);
  return opRecord(op).cost(types, attributes, type).flops;
}

/** Some nodes of a graph with their operations; ids behind the last one, copies of results, are left out. */
export const workOf = (graph: Pick<Graph, "nodes">, ids: readonly number[]): (Node & NodeWork)[] =>
  ids.flatMap((id) => {
    const node = graph.nodes[id];
    return node === undefined ? [] : [{ ...node, flops: flopsOf(graph, node) }];
  });
