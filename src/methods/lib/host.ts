/** Builtins on numbers of the host: index tables that are never saved because a seed rebuilds them. */
import type { HostArray, Value } from "../dsl/value.ts";
import { randomPermutation } from "../random/permutation.ts";
import type { Builtin } from "./builtin.ts";

const whole = (data: Float64Array): Value => ({ kind: "host", array: { data, whole: true } });

const byNumber = (name: string, doc: string, f: (x: number, divisor: number) => number): Builtin => ({
  name,
  parameters: [
    { name: "values", kind: "host" },
    { name: "divisor", kind: "count" },
  ],
  doc,
  call: (_context, args) => {
    const array: HostArray = args.host("values");
    return whole(array.data.map((x) => f(x, args.number("divisor"))));
  },
});

export const hostBuiltins: readonly Builtin[] = [
  {
    name: "torch_randperm",
    parameters: [
      { name: "stream", kind: "stream" },
      { name: "length", kind: "count" },
      { name: "count", kind: "count" },
    ],
    doc: "The first count numbers of PyTorch's randperm(length), bit for bit.",
    call: (context, args) => {
      const [length, count] = [args.number("length"), args.number("count")];
      if (count > length)
        throw context.fail("More numbers are wanted than there are.", `at most ${length}`, String(count));
      return whole(randomPermutation(args.stream("stream"), length, count));
    },
  },
  {
    name: "sorted",
    parameters: [{ name: "values", kind: "host" }],
    doc: "Host numbers in increasing order.",
    call: (_context, args) => whole(args.host("values").data.slice().sort()),
  },
  {
    name: "stacked",
    parameters: [
      { name: "first", kind: "host" },
      { name: "second", kind: "host" },
    ],
    doc: "Host numbers one list after the other, as rows of a table.",
    call: (_context, args) => whole(Float64Array.of(...args.host("first").data, ...args.host("second").data)),
  },
  byNumber("quotient", "Whole quotients of host numbers by a number.", (x, divisor) => Math.floor(x / divisor)),
  byNumber("remainder", "Remainders of host numbers by a number.", (x, divisor) => x % divisor),
];
