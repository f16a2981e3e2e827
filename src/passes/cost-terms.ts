/** What the cost of an operator is made of: its products one by one, for people. */
import type { Builder } from "../ir/builder.ts";
import { portName } from "../ir/graph.ts";
import type { OperatorLowering } from "../ir/operators/record.ts";
import { remembered } from "../ir/remember.ts";

/** Products of one matrix with so many vectors, how often, and their flops: 2 times the three sizes and `times`. */
export interface CostTerm {
  /** The parameter or weight, or else the operator. */
  readonly what: string;
  readonly vectors: number;
  readonly out: number;
  readonly in: number;
  /** 1 forward, and once more for every gradient; a fraction for what has fewer entries than sizes say. */
  readonly times: number;
  readonly flops: number;
}

const round = (times: number): number => Math.round(100 * times) / 100;

/** An operator of more parts is told as a whole; those that are used again count again. */
const mostParts = 64;

function partsIn(builder: Builder, id: number, known: Map<number, number>): number {
  const { inputs, type } = builder.node(id);
  if (type.kind !== "operator") return 0;
  return remembered(known, id, () => 1 + inputs.reduce((sum, input) => sum + partsIn(builder, input, known), 0));
}

/** Terms that add up to the flops of applying an operator; one for all of it where its parts are not applied to these vectors one by one. */
export function costTerms(
  builder: Builder,
  costs: Pick<OperatorLowering, "flops">,
  id: number,
  vectors: number,
): CostTerm[] {
  const { op, inputs, type } = builder.node(id);
  if (type.kind !== "operator") return [];
  const whole = costs.flops(id, vectors);
  const parts = inputs.filter((input) => builder.node(input).type.kind === "operator");
  const own = whole - parts.reduce((sum, part) => sum + costs.flops(part, vectors), 0);
  const [port] = inputs.map((input) => builder.node(input)).filter((node) => node.op === "port");
  const term = (flops: number): CostTerm[] => {
    const size = 2 * vectors * type.out * type.in;
    const what = port === undefined ? op : portName(port);
    return flops === 0 ? [] : [{ what, vectors, out: type.out, in: type.in, times: round(flops / size), flops }];
  };
  if (own < 0 || partsIn(builder, id, new Map()) > mostParts) return term(whole);
  return [...parts.flatMap((part) => costTerms(builder, costs, part, vectors)), ...term(own)];
}
