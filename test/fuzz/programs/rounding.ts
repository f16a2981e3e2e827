/**
 * How far f32 may be off: a bound for every value of a graph from its own numbers. Sums of n terms are off by n roundings at most, whatever
 * their order; what a function makes of its inputs' errors is found by evaluating it with them.
 */
import { evaluateAll, type PortData } from "../../../src/ir/evaluate.ts";
import type { Graph, Node } from "../../../src/ir/graph.ts";
import type { Value } from "../../../src/ir/op-record.ts";
import { einsumExtents, einsumOf } from "../../../src/ir/ops/contraction.ts";
import { opRecord } from "../../../src/ir/registry.ts";
import type { TensorType } from "../../../src/ir/types.ts";

const unit = 2 ** -24;

/** Sums of more terms go in blocks (`schedule/long-sums.ts`), so that none is rounded more often. */
const mostRoundings = 5_000;

interface Operand {
  readonly value: Value;
  readonly bound: number;
}

const largest = ({ data }: Value): number => data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

const sumBound = (terms: number, each: number, bound: number): number =>
  terms * bound + Math.min(terms, mostRoundings) * unit * terms * each;

const transcendental = new Set(["exp", "log", "sin", "cos", "tanh", "erf", "sigmoid"]);

/** What rounding adds at one value, by the class of its op. `functions`: error of transcendental functions, for numbers near 1. */
function boundOf(node: Node, inputs: readonly Operand[], result: Value, functions: number): number {
  const bounds = inputs.map(({ bound }) => bound);
  const worst = Math.max(0, ...bounds);
  const size = largest(result);
  switch (opRecord(node.op).opClass) {
    case "pointwise":
      if (worst === 0 && !transcendental.has(node.op) && result.data.every((x) => x === Math.fround(x))) return 0;
      return pointwiseBound(node, inputs, result) + (transcendental.has(node.op) ? functions : 4 * unit) * (size || 1);
    case "contraction": {
      const [a, b] = inputs as [Operand, Operand];
      const spec = einsumOf(node.attributes);
      const extents = einsumExtents(spec, a.value.shape, b.value.shape);
      const terms = spec.contracted.reduce((n, letter) => n * extents.get(letter)!, 1);
      const [x, y] = [largest(a.value), largest(b.value)];
      return sumBound(terms, x * y, x * b.bound + y * a.bound + a.bound * b.bound);
    }
    case "reduce": {
      if (node.op === "reduce_max") return worst;
      const terms = inputs[0]!.value.data.length / result.data.length;
      return sumBound(terms, largest(inputs[0]!.value), worst);
    }
    case "scatter":
      return sumBound(inputs[0]!.value.data.length, largest(inputs[1]!.value), worst);
    case "matrix": {
      const n = result.shape[1]!;
      return 4 * size * size * n * (worst + 8 * n * unit);
    }
    default:
      return node.type.kind === "tensor" && node.type.dtype === "f32" ? worst + unit * size : 0;
  }
}

function pointwiseBound({ op, attributes, type }: Node, inputs: readonly Operand[], result: Value): number {
  const { eval: evaluate } = opRecord(op);
  let bound = 0;
  inputs.forEach((input, i) => {
    if (input.bound === 0) return;
    for (const sign of [-1, 1]) {
      const moved = { ...input.value, data: input.value.data.map((x) => x + sign * input.bound) };
      const { data } = evaluate!(
        inputs.map(({ value }, j) => (i === j ? moved : value)),
        attributes,
        type as TensorType,
      );
      bound += data.reduce((most, x, j) => Math.max(most, Math.abs(x - result.data[j]!)), 0);
    }
  });
  return Number.isNaN(bound) ? Number.POSITIVE_INFINITY : bound;
}

export interface Expected {
  readonly value: Value;
  /** Most that a number may be off by. */
  readonly bound: number;
}

/** Outputs in f64, and how far from them a device may be. */
export function expectedOf(
  graph: Graph,
  ports: Readonly<Record<string, PortData>>,
  functions: number,
): ReadonlyMap<string, Expected> {
  const values = evaluateAll(graph, ports);
  const bounds: number[] = [];
  graph.nodes.forEach((node, id) => {
    const inputs = node.inputs.map((i) => ({ value: values[i]!, bound: bounds[i]! }));
    const isExact = node.op === "port" || node.type.kind !== "tensor" || node.type.dtype !== "f32";
    const bound = isExact ? 0 : boundOf(node, inputs, values[id]!, functions);
    // 0 times a bound that is not finite.
    bounds.push(Number.isNaN(bound) ? Number.POSITIVE_INFINITY : bound);
  });
  return new Map(graph.outputs.map(({ name, node }) => [name, { value: values[node]!, bound: bounds[node]! }]));
}
