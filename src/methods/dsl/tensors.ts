/** Declared tensors: the grammar of what follows their word, and the clauses behind their first value, a row each. */
import { codings } from "../../program/index.ts";
import type { Family, TensorItem, TensorRole } from "./ast.ts";
import { readArguments, readCall, readCondition, readExpression, readPrimary } from "./expressions.ts";
import type { Reader } from "./reader.ts";

const codingSyntaxes = Object.values(codings).map(({ syntax }) => syntax);

interface Clause {
  readonly syntax: string;
  readonly doc: string;
  /** Reads what follows its word. */
  readonly read: (r: Reader) => Partial<TensorItem>;
}

export const clauses: Readonly<Record<string, Clause>> = {
  at: {
    syntax: 'at "KEY" tied? (also "KEY")? (from encoder)?',
    doc: "The end of its key in the file. tied: under the path of the other end of a tie too; also: under the path of every site too; from encoder: in encoder.safetensors.",
    read: (r) => ({
      key: r.text(),
      tied: r.flag("tied"),
      also: r.behind("also", () => r.text()),
      file: r.behind("from", () => r.name()),
    }),
  },
  save: {
    syntax: "save if CONDITION",
    doc: "The file holds it only then.",
    read: (r) => ({ saveIf: readCondition(r) }),
  },
  as: {
    syntax: "as base, kernel, pointwise, channels or row",
    doc: "In the dtype of the base's weight, or at a layer on patches in the shape of a convolution's tensor.",
    read: (r) => ({ storedAs: r.name() }),
  },
  coded: {
    syntax: "coded FORM(VALUE) (if CONDITION)?",
    doc: `The file holds it in another form: ${codingSyntaxes.join(", ")}.`,
    read: (r) => {
      const { image: form, at } = r.of("name");
      const coded = { form, at, arguments: readArguments(r), condition: r.behind("if", () => readExpression(r)) };
      // Counted as a call: the random streams of the calls behind it keep their numbers.
      r.calls++;
      return { coded };
    },
  },
  within: {
    syntax: "within [ROWS, COLUMNS]",
    doc: "A saved constant holds places in an array of this shape.",
    read: (r) => ({ within: readExpression(r) }),
  },
  replaces: {
    syntax: "replaces ROWS",
    doc: "It holds these rows of the weight's table.",
    read: (r) => ({ replaces: readExpression(r) }),
  },
  project: {
    syntax: "project (if NAME)? FUNCTION(VALUE, ...)",
    doc: "After every step the parameter p becomes FUNCTION(p, VALUE, ...).",
    read: (r) => {
      const condition = r.behind("if", () => readPrimary(r));
      return { project: { condition, call: readCall(r) } };
    },
  },
  when: {
    syntax: "when CONDITION",
    doc: "The tensor exists only then.",
    read: (r) => ({ when: readExpression(r) }),
  },
};

export const tensorSyntax = (word: string): string =>
  `${word} NAME[EXTENT, ...] (for K: FROM .. TO (by STEP)?)? = FIRST CLAUSE ...;`;

function family(r: Reader): Family {
  const name = r.name();
  r.expect(":");
  const from = readExpression(r);
  r.expect("..");
  return { name, from, to: readExpression(r), by: r.behind("by", () => readExpression(r)) };
}

export function readTensor(r: Reader, role: TensorRole): TensorItem {
  const trained = r.flag("param");
  const { image: name, at } = r.of("name");
  const shape = r.listIn("[", "]", () => readExpression(r));
  const range = r.behind("for", () => family(r));
  r.expect("=");
  const value = readExpression(r);
  let more: Partial<TensorItem> = {};
  for (let word = r.accept(...Object.keys(clauses)); word !== undefined; word = r.accept(...Object.keys(clauses)))
    more = { ...more, ...r.as("a clause", () => clauses[word!.image]!.read(r)) };
  return { kind: "tensor", role, name, shape, value, ordinal: r.tensors++, at, trained, family: range, ...more };
}
