/** Declared tensors: the grammar of what follows their word, and the clauses behind their first value, a row each. */
import type { Family, TensorItem, TensorRole } from "./ast.ts";
import { readArguments, readCall, readExpression, readPrimary } from "./expressions.ts";
import type { Reader } from "./reader.ts";

/** An item without the fields that are undefined. */
export const withGiven = <T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

interface Clause {
  readonly syntax: string;
  readonly doc: string;
  /** Reads what follows its word. */
  readonly read: (r: Reader) => Partial<TensorItem>;
}

const flag = (r: Reader, word: string): true | undefined => (r.accept(word) === undefined ? undefined : true);
const conditionIf = (r: Reader) => r.behind("if", () => readExpression(r));

export const clauses: Readonly<Record<string, Clause>> = {
  at: {
    syntax: 'at "KEY" tied? (also "KEY")? (from encoder)?',
    doc: "The end of its key in the file. tied: under the path of the other end of a tie too; also: under the path of every site too; from encoder: in encoder.safetensors.",
    read: (r) =>
      withGiven<Partial<TensorItem>>({
        key: r.text(),
        tied: flag(r, "tied"),
        also: r.behind("also", () => r.text()),
        file: r.behind("from", () => r.name()),
      }),
  },
  save: {
    syntax: "save if CONDITION",
    doc: "The file holds it only then.",
    read: (r) => {
      r.expect("if");
      return { saveIf: readExpression(r) };
    },
  },
  as: {
    syntax: "as base, kernel, pointwise, channels or row",
    doc: "In the dtype of the base's weight, or at a layer on patches in the shape of a convolution's tensor.",
    read: (r) => ({ storedAs: r.name() }),
  },
  coded: {
    syntax: "coded FORM(VALUE) (if CONDITION)?",
    doc: "The file holds it in another form: top_k(count), on_rows(rows).",
    read: (r) => {
      const { image: form, at } = r.of("name");
      const coded = { form, at, arguments: readArguments(r), condition: conditionIf(r) };
      // Counted as a call: the random streams of the calls behind it keep their numbers.
      r.calls++;
      return { coded: withGiven<NonNullable<TensorItem["coded"]>>(coded) };
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
      return { project: withGiven<NonNullable<TensorItem["project"]>>({ condition, call: readCall(r) }) };
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
  return withGiven<Family>({ name, from, to: readExpression(r), by: r.behind("by", () => readExpression(r)) });
}

export function readTensor(r: Reader): TensorItem {
  const role = r.take().image as TensorRole;
  const trained = flag(r, "param");
  const { image: name, at } = r.of("name");
  const shape = r.listIn("[", "]", () => readExpression(r));
  const range = r.behind("for", () => family(r));
  r.expect("=");
  const value = readExpression(r);
  let more: Partial<TensorItem> = {};
  for (let word = r.accept(...Object.keys(clauses)); word !== undefined; word = r.accept(...Object.keys(clauses)))
    more = { ...more, ...r.as("a clause", () => clauses[word!.image]!.read(r)) };
  return withGiven<TensorItem>({
    ...{ kind: "tensor", role, name, shape, value, ordinal: r.tensors++, at, trained, family: range },
    ...more,
  });
}
