/** Which values of a graph are kept (see `fuse.ts`) and which are computed where they are read. */
import { behindCasts, type Graph, liveNodes, wholeChunk } from "../../ir/graph.ts";
import { isHeavy, opRecord } from "../../ir/registry.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";

export interface Liveness {
  readonly live: readonly boolean[];
  readonly users: readonly (readonly number[])[];
  /** How often the value is read, by nodes and outputs. */
  readonly uses: readonly number[];
  readonly pointwise: readonly boolean[];
  /** Ports and kept values that the values of `ids` are computed from. */
  leaves(ids: readonly number[], kept: ReadonlySet<number>): number[];
}

export function livenessOf(graph: Graph): Liveness {
  const live = liveNodes(graph);
  const users: number[][] = graph.nodes.map(() => []);
  for (const [id, { inputs }] of graph.nodes.entries())
    if (live[id]) for (const input of inputs) users[input]!.push(id);
  const uses = users.map((list) => list.length);
  for (const output of graph.outputs) uses[output.node]!++;
  return {
    live,
    users,
    uses,
    pointwise: graph.nodes.map((node) => opRecord(node.op).opClass === "pointwise"),
    leaves: (ids, kept) => leavesOf(graph, ids, kept),
  };
}

function leavesOf(graph: Graph, ids: readonly number[], kept: ReadonlySet<number>): number[] {
  const found = new Set<number>();
  const seen = new Set<number>();
  const visit = (id: number): void => {
    if (seen.has(id)) return;
    seen.add(id);
    if (kept.has(id) || graph.nodes[id]!.op === "port") found.add(id);
    else graph.nodes[id]!.inputs.forEach(visit);
  };
  ids.forEach(visit);
  return [...found];
}

const views = ["reshape", "transpose", "broadcast", "slice", "pad", "concat"];
/** Values read by one kernel beyond which a light value is kept: it has to leave room for results in eight bindings. */
const mostLeaves = 6;

/** The arithmetic behind an operand of a contraction that is done once instead of once per tile. */
function operandRoots(graph: Graph, id: number): number[] {
  const node = graph.nodes[id]!;
  if (views.includes(node.op)) return node.inputs.flatMap((i) => operandRoots(graph, i));
  if (opRecord(node.op).opClass !== "pointwise") return [];
  if (node.op === "cast" || node.op === "stop_gradient") return operandRoots(graph, node.inputs[0]!);
  return [id];
}

export function keptValues(graph: Graph, liveness: Liveness): Set<number> {
  const kept = new Set<number>();
  for (const output of graph.outputs) kept.add(output.node);
  graph.nodes.forEach((node, id) => {
    if (!liveness.live[id]) return;
    // Chunks of other kernels are put together once, a few at a time.
    if (isHeavy(node) || node.chunk === wholeChunk) kept.add(id);
    if (node.op === "einsum") for (const i of node.inputs) for (const root of operandRoots(graph, i)) kept.add(root);
    if (node.op === "scatter_add") for (const root of operandRoots(graph, node.inputs[1]!)) kept.add(root);
  });
  const isReadOften = readBySeveral(graph, liveness, kept);
  graph.nodes.forEach((node, id) => {
    if (!liveness.live[id] || kept.has(id)) return;
    // Rows that were looked up are looked up once.
    if (node.op === "gather" && isReadOften(id) && !repeatsWeights(graph, liveness, id)) kept.add(id);
    if (!liveness.pointwise[id]) return;
    const size = sizeOf((node.type as TensorType).shape);
    const leaves = liveness.leaves(node.inputs, kept);
    const large = leaves.filter((leaf) => sizeOf((graph.nodes[leaf]!.type as TensorType).shape) * 4 >= size);
    const closes = large.some(
      (leaf) => graph.nodes[leaf]!.op === "einsum" && liveness.uses[leaf] === 1 && node.inputs.includes(leaf),
    );
    if (large.length >= 2 && (isReadOften(id) || closes)) kept.add(id);
    else if (leaves.length > mostLeaves) kept.add(id);
  });
  return kept;
}

/** Whether weights that are looked up for contractions would be held more often than they are in the table. */
function repeatsWeights(graph: Graph, { users }: Liveness, id: number): boolean {
  const { inputs, type } = graph.nodes[id]!;
  const table = graph.nodes[behindCasts(graph, inputs[0]!)]!;
  const isLarger = sizeOf((type as TensorType).shape) > sizeOf((table.type as TensorType).shape);
  return table.op === "port" && isLarger && users[id]!.every((user) => graph.nodes[user]!.op === "einsum");
}

const [nobody, several] = [-1, -2];

/** Of every light value whether two or more kept values are computed from it. */
function readBySeveral(graph: Graph, { users }: Liveness, kept: ReadonlySet<number>): (id: number) => boolean {
  const readers = new Int32Array(graph.nodes.length).fill(nobody);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    for (const user of users[id]!) {
      const reader = kept.has(user) ? user : readers[user]!;
      if (reader === nobody || reader === readers[id]) continue;
      readers[id] = readers[id] === nobody ? reader : several;
    }
  }
  return (id) => readers[id] === several;
}
