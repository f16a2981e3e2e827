/**
 * Lowers operators to tensor ops. For every applied operator the costs of working on the activations and of folding the weight are
 * compared, forward and backward together, and the comparison is kept as a note.
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, portRole } from "../ir/graph.ts";
import { readingRecord } from "../ir/operators/index.ts";
import { type CostNote, LoweredOperators } from "./lower-operators.ts";
import { rebuild } from "./rewrite.ts";

export interface AssociateResult {
  readonly graph: Graph;
  readonly notes: readonly CostNote[];
}

/** Whether a node of a growing graph depends on a parameter; remembers what it has seen. Nodes stand behind their inputs. */
function trainedIn(builder: Builder): (id: number) => boolean {
  const known: boolean[] = [];
  return (id) => {
    for (let next = known.length; next <= id; next++) {
      const node = builder.node(next);
      known.push(node.op === "port" ? portRole(node) === "param" : node.inputs.some((input) => known[input]!));
    }
    return known[id]!;
  };
}

export interface AssociateOptions {
  /** With gradients: costs count backward work too. */
  readonly train: boolean;
  /** Whether adapters may be folded into weights where that costs less; true unless given. */
  readonly fold?: boolean | undefined;
}

/**
 * Lowers every well-formed operator-level graph without sites, in the normal form of the algebra or not. An operator that differs from
 * token to token (dropout) has no matrix: it may be applied, but neither `op.to_dense` nor `op.row_norm` of it is well-formed.
 */
export function associate(graph: Graph, options: AssociateOptions): AssociateResult {
  const notes: CostNote[] = [];
  const builder = new Builder(graph.name);
  const lowering = new LoweredOperators(builder, {
    train: options.train,
    fold: options.fold ?? true,
    trained: trainedIn(builder),
    note: (note) => notes.push(note),
  });
  const ids = rebuild(graph, builder, ({ op, attributes, scope = "" }, inputs) =>
    readingRecord(op)?.lower(lowering, inputs, scope, attributes),
  );
  return { graph: compact(builder.finish(graph.outputs.map((o) => ({ name: o.name, node: ids[o.node]! })))), notes };
}
