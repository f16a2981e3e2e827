/** Random graphs for properties of print, parse, hash and verify: odd names, scopes and numbers included. */
import fc from "fast-check";
import { Builder, type NodeContext } from "../../src/ir/builder.ts";
import type { Attribute, Graph, PortRole } from "../../src/ir/graph.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom(
    "x",
    "model.layers.0.q_proj",
    "return",
    "12",
    'a "b" c',
    "// no",
    "a:3",
    "two words",
    "__proto__",
    "line\nend",
    "\ud800",
    "}",
  ),
);

const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, min: -3.4e38, max: 3.4e38 }),
  fc.constantFrom(-0, 1e-7, 1e21, -1e30),
);

const json: fc.Arbitrary<Attribute> = fc.letrec<{ value: Attribute }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    number,
    fc.boolean(),
    fc.constant(null),
    anyText,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.string({ maxLength: 4 }), tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const context: fc.Arbitrary<NodeContext> = fc.record(
  {
    scope: anyText,
    location: fc.record({ file: anyText, line: fc.nat({ max: 500 }) }),
    from: fc.array(fc.nat({ max: 50 }), { maxLength: 3 }),
  },
  { requiredKeys: [] },
);

/** One more node, made from nodes that are there; `pick` chooses among them. */
type Step = (builder: Builder, pick: (index: number) => number) => number;

const role = fc.constantFrom<PortRole>("input", "weight", "param", "buffer");

const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(
      anyText,
      role,
      fc.dictionary(fc.constantFrom("key", "axis", "__proto__", "null"), json, { maxKeys: 2, noNullPrototype: true }),
    )
    .map(
      ([name, kind, more]): Step =>
        (builder) => {
          return name === "" || hasPort(builder, name)
            ? builder.constant(1, [2, 3])
            : builder.port(name, kind, "f32", [2, 3], more);
        },
    ),
  fc.tuple(fc.constantFrom("neg", "exp", "tanh", "stop_gradient"), fc.nat()).map(
    ([op, i]): Step =>
      (builder, pick) =>
        builder.add(op, [pick(i)]),
  ),
  fc.tuple(fc.constantFrom("add", "mul", "maximum"), fc.nat(), fc.nat()).map(
    ([op, i, j]): Step =>
      (builder, pick) =>
        builder.add(op, [pick(i), pick(j)]),
  ),
  fc.tuple(number, fc.nat()).map(
    ([value, i]): Step =>
      (builder, pick) =>
        builder.plus(builder.constant(value, [2, 3]), pick(i)),
  ),
  fc.nat().map(
    (i): Step =>
      (builder, pick) =>
        builder.transpose(builder.transpose(pick(i), [1, 0]), [1, 0]),
  ),
  fc.nat().map(
    (i): Step =>
      (builder, pick) =>
        builder.broadcast(builder.sum(pick(i), [1]), [2, 3], [0]),
  ),
  fc.nat().map(
    (i): Step =>
      (builder, pick) =>
        builder.apply(builder.add("op.identity", [], { size: 3 }), pick(i)),
  ),
);

function hasPort(builder: Builder, name: string): boolean {
  for (let id = 0; id < builder.size; id++) {
    if (builder.node(id).op === "port" && builder.node(id).attributes.name === name) return true;
  }
  return false;
}

/** Valid operator-level graphs over f32[2,3]. */
export const randomGraph: fc.Arbitrary<Graph> = fc
  .record({
    name: anyText,
    first: fc.boolean(),
    steps: fc.array(fc.tuple(step, context), { maxLength: 12 }),
    outputs: fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 6 }), fc.nat()), {
      selector: ([name]) => name,
      maxLength: 3,
    }),
  })
  .map(({ name, first, steps, outputs }) => {
    const builder = new Builder(name);
    const values = [first ? builder.port("start", "input", "f32", [2, 3]) : builder.constant(0.5, [2, 3])];
    const pick = (index: number): number => values[index % values.length]!;
    for (const [make, tags] of steps) values.push(builder.within(tags, () => make(builder, pick)));
    return builder.finish(outputs.map(([output, index]) => ({ name: output, node: pick(index) })));
  });
