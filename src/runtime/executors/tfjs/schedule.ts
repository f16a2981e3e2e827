/**
 * The order in which the tfjs executor computes the nodes of a stage for a set of outputs, with what may be freed after each. Values that
 * depend on frozen ports only and feed others that do not (transposed weights, tables of angles) are *roots*: computed at first use and kept.
 */
import { type Graph, type Node, portName, portRole } from "../../../ir/graph.ts";

interface Step {
  readonly node: number;
  /** Nodes whose values nobody reads after this step. */
  readonly frees: readonly number[];
}

export interface Schedule {
  readonly steps: readonly Step[];
  readonly outputs: readonly { readonly name: string; readonly node: number }[];
}

/** Gives equal numbers to equal frozen computations, across all stages of a program. */
export class FrozenNumbers {
  private readonly known = new Map<string, number>();

  /** For every node of the graph its number, or undefined when it depends on something that changes. */
  number(graph: Graph, isConstantPort: (name: string) => boolean): (number | undefined)[] {
    const numbers: (number | undefined)[] = [];
    for (const node of graph.nodes) {
      const inputs = node.inputs.map((i) => numbers[i]);
      const changes =
        node.op === "port" ? portRole(node) === "input" || !isConstantPort(portName(node)) : inputs.includes(undefined);
      numbers.push(changes ? undefined : this.intern(node, inputs));
    }
    return numbers;
  }

  private intern(node: Node, inputs: readonly (number | undefined)[]): number {
    const key = `${node.op}(${inputs.join(",")})${JSON.stringify(node.attributes)}`;
    const number = this.known.get(key) ?? this.known.size;
    this.known.set(key, number);
    return number;
  }
}

/** Ops that cost nothing here: keeping their results would only hold memory. */
const free = new Set(["port", "constant", "iota", "broadcast", "reshape", "stop_gradient"]);

/** Nodes that are worth keeping: frozen, not free, and read by a node that is not frozen or free. */
export function frozenRoots(graph: Graph, numbers: readonly (number | undefined)[]): boolean[] {
  const passes = graph.nodes.map((node, id) => numbers[id] !== undefined && free.has(node.op));
  const wanted = new Array<boolean>(graph.nodes.length).fill(false);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const reads = numbers[id] === undefined || (passes[id] && wanted[id]);
    if (reads) for (const input of graph.nodes[id]!.inputs) wanted[input] = true;
  }
  return wanted.map((isWanted, id) => isWanted && numbers[id] !== undefined && !passes[id]);
}

/** The steps for the named outputs. A node for which `stop` holds is a step without inputs. */
export function schedule(graph: Graph, outputNames: (name: string) => boolean, stop: readonly boolean[]): Schedule {
  const outputs = graph.outputs.filter((output) => outputNames(output.name));
  const live = new Array<boolean>(graph.nodes.length).fill(false);
  for (const output of outputs) live[output.node] = true;
  const inputsOf = (id: number): readonly number[] => (stop[id] === true ? [] : graph.nodes[id]!.inputs);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (live[id] === true) for (const input of inputsOf(id)) live[input] = true;
  }
  const kept = new Set(outputs.map((output) => output.node));
  const freed = new Set<number>();
  const steps: Step[] = [];
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (live[id] !== true) continue;
    const frees = [...new Set(inputsOf(id))].filter((input) => !freed.has(input) && !kept.has(input));
    for (const input of frees) freed.add(input);
    steps.push({ node: id, frees });
  }
  return { steps: steps.reverse(), outputs };
}
