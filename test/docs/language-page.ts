/** The page `docs/language.md`, made from the tables of the method language. Every example is compiled, and what it makes is shown. */
import { Builder } from "../../src/ir/builder.ts";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import type { BinaryOperator, Place } from "../../src/methods/dsl/ast.ts";
import { evaluate } from "../../src/methods/dsl/evaluate.ts";
import { fieldOptions } from "../../src/methods/dsl/field.ts";
import { Notes } from "../../src/methods/dsl/notes.ts";
import { binaryOperators } from "../../src/methods/dsl/operations.ts";
import { Scope } from "../../src/methods/dsl/scope.ts";
import { assignment, clauses, statements } from "../../src/methods/dsl/statements.ts";
import { describe } from "../../src/methods/dsl/value.ts";
import { predefined, siteNames } from "../../src/methods/dsl/words.ts";
import { fieldTypes } from "../../src/methods/fields.ts";
import { elaborateModel, everyMethod, parseMethod } from "../../src/methods/index.ts";
import { signature } from "../../src/methods/lib/builtin.ts";
import { builtins } from "../../src/methods/lib/index.ts";
import { gallery } from "./gallery.ts";
import { functionExamples, loops, operatorExamples } from "./language-examples.ts";

/** What the examples read: a linear layer of 6 inputs and 4 outputs, in a batch of 2 samples. */
const declarations = `  config r: int = 2 "rank", tokens: int_list = [1, 3] "places", pattern: bool_list_map? = null "per module";
  param A[r, in] = kaiming_uniform at "A";
  param B[out, r] = zeros at "B";
  param v[in] = ones at "v";
  param Q[3, 1] = zeros at "Q";
  param S[1, 2, 3, 3] = zeros at "S";
  param T[2, 4, 4] = zeros at "T";
  stream rng = torch_generator(0);
  const places[3] = sorted(torch_randperm(rng, in, 3));
  const pairs[2, 3] = stacked(places, places);
  input task below 5 as task;`;

/** Those that every method may call, and those that built-in methods bring for themselves. */
export const everyBuiltin = [...builtins.values(), ...everyMethod.flatMap(({ record }) => record.builtins ?? [])];

const exampleMethod = (expression: string): string =>
  `method example on linear {\n${declarations}\n  let example = ${expression};\n  W' = W;\n}`;

/** What an expression makes, as messages call it. */
export function made(expression: string): string {
  const method = parseMethod(exampleMethod(expression), "example");
  const fields = Object.fromEntries(method.fields.map((field) => [field.name, field.default]));
  const site = {
    path: "layers.0.q_proj",
    kind: "linear",
    in: 6,
    out: 4,
    fields,
    index: 0,
    hasBias: true,
    layout: "linear",
  } as const;
  const elaboration = elaborateModel(method, {
    sites: [site],
    situation: { purpose: "evaluate", sampling: false },
    fields,
    sink: new DiagnosticSink(),
  });
  const builder = new Builder("example");
  const scalar = builder.constant(0, [], "u32");
  const weight = builder.dense(builder.port("W", "weight", "f32", [4, 6]));
  const build = {
    builder,
    weight,
    base: weight,
    bias: builder.port("b", "weight", "f32", [4]),
    scalars: { seed: scalar, step: scalar, sampleOffset: scalar, pass: scalar, training: builder.constant(0) },
    samples: 2,
    experts: () => [weight, weight],
    tensor: (item: { readonly name: string; readonly shape: readonly unknown[] }) => {
      const shape = { A: [2, 6], B: [4, 2], v: [6], Q: [3, 1], S: [1, 2, 3, 3], T: [2, 4, 4] }[item.name]!;
      return builder.port(item.name, "param", "f32", shape);
    },
  };
  const { model, block } = elaboration.scope(site);
  const scope = new Scope({ ...model, notes: new Notes() }, block, site, build as never);
  const at: Place = { line: 1, column: 1 };
  return describe(evaluate(scope, { kind: "name", name: "example", at }), builder);
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  row(...heads),
  `|${heads.map(() => "---|").join("")}`,
  ...rows.map((cells) => row(...cells)),
  "",
];
const code = (text: string): string => `\`${text}\``;
const example = (expression: string): string => `${code(expression)} is ${code(made(expression))}`;

export function languagePage(): string {
  const operators = Object.entries(operatorExamples).map(([operator, expression]) => [
    code(operator),
    binaryOperators[operator as BinaryOperator].wanted,
    example(expression),
  ]);
  const functions = everyBuiltin.map((builtin) => {
    const shown = functionExamples[builtin.name];
    if (shown === undefined) throw new Error(`${builtin.name} has no example in test/docs/language-examples.ts`);
    return [code(signature(builtin)), builtin.doc, example(shown)];
  });
  return [
    "# The method language",
    "",
    "Made from the tables that the parser, the checker and the evaluator read; `npx vitest run test/docs -u` writes it again. Every example is compiled.",
    "How a whole method is written and brought is told in [add-a-method.md](add-a-method.md); the texts of all methods are in [methods.md](methods.md).",
    "",
    "## Statements",
    "",
    "`method NAME on KIND, ... { statements }`. Capital words stand for something, `?` for what may be left out, `...` for more of the same.",
    "",
    ...table(
      ["statement", "meaning"],
      [assignment, ...Object.values(statements)].map(({ syntax, doc }) => [code(syntax), doc]),
    ),
    "Behind the first value of a tensor stand clauses:",
    "",
    ...table(
      ["clause", "meaning"],
      Object.values(clauses).map(({ syntax, doc }) => [code(syntax), doc]),
    ),
    `Types of fields: ${Object.keys(fieldTypes).map(code).join(", ")}. Options: ${Object.keys(fieldOptions).map(code).join(", ")}.`,
    "",
    "Comments are `// to the end of the line` and `/* between */`. A let may stand behind what reads it, as order means nothing but to streams. First",
    "values may be formulas of W0 and of other parameters (`param R[r, in] = P.T @ W0`), extents of a family may depend on its number",
    "(`param A[k == 0 ? 1 : r, in] for k: 0 .. 3`), arguments may be named (`normal(deviation: 0.02)`), known lists are written and read as",
    "`[4, 8][k]`, and x of `iterate` may have another shape in every turn. Functions are no values: both sides of `? :` call theirs.",
    "",
    "## Kinds of sites",
    "",
    ...table(
      ["kind", "names", "targets"],
      Object.entries(siteNames).map(([kind, { weight, base, bias, words = [], targets }]) => [
        code(kind),
        [weight, base, bias, ...words].flatMap((name) => (name === undefined ? [] : [code(name)])).join(", "),
        targets.map((target) => code(`${target}'`)).join(", "),
      ]),
    ),
    "## Words",
    "",
    ...table(
      ["word", "meaning"],
      Object.entries(predefined).map(([word, { doc }]) => [code(word), doc]),
    ),
    "## Operators",
    "",
    "An operator is a linear map [out, in] that is never formed unless that is cheaper; where a tensor is wanted it becomes its matrix, and a matrix",
    "becomes an operator where one is wanted. Numbers, lists and tensors go together entry by entry. `x[0]` drops an axis, `x[:, 0 : 2]` keeps a part,",
    "`x.T` exchanges the last two axes. Shapes are aligned from the last axis, as in NumPy: `W .* v` with `v[in]` scales columns, and so does a `v[out]` at a",
    "square layer; rows are scaled by `diag(v) @ W`, or by a `v[out, 1]`. Of `? :`, `and` and `or` only the side that counts is worked out, unless the condition is a tensor.",
    "",
    "The examples stand in this method, at a layer of 6 inputs and 4 outputs:",
    "",
    "```",
    exampleMethod("..."),
    "```",
    "",
    ...table(["operator", "takes", "example"], operators),
    "## Loops and questions",
    "",
    ...table(
      ["call", "meaning", "example"],
      loops.map(({ call, doc, expression }) => [code(call), doc, example(expression)]),
    ),
    "## Functions",
    "",
    ...table(["function", "meaning", "example"], functions),
    "## Methods from papers",
    "",
    "Their formulas as they are written here; each compiles on a model with biases and on one without.",
    "",
    ...Object.entries(gallery).flatMap(([heading, text]) => [`${heading}:`, "", "```", text, "```", ""]),
  ].join("\n");
}
