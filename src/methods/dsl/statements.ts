/** The statements of a method, a row each by the word that it begins with, and the clauses of tensors; the rows are read by the parser, its messages and the documentation. */
import { codings } from "../../program/index.ts";
import type { Expression, Family, FieldItem, Item, Place, RequireItem, TensorItem, TensorRole } from "./ast.ts";
import { readArguments, readCall, readCondition, readDefault, readExpression, readPrimary } from "./expressions.ts";
import { bodyOfBlock, type Reader } from "./reader.ts";
import type { Token } from "./tokens.ts";

export interface Statement {
  /** What it is called in messages, where that is not its word. */
  readonly what?: string;
  readonly syntax: string;
  readonly doc: string;
  /** Reads what stands between its first word and its semicolon. */
  readonly read: (r: Reader, word: Token) => Item[];
}

/** A name, and the place where it stands. */
function named(r: Reader): { readonly name: string; readonly at: Place } {
  const { image: name, at } = r.of("name");
  return { name, at };
}

function value(r: Reader): Expression {
  r.expect("=");
  return readExpression(r);
}

function inBrackets<T>(r: Reader, read: () => T): T {
  r.expect("[");
  const made = read();
  r.expect("]");
  return made;
}

const field = (r: Reader): FieldItem =>
  r.as("a config field (name: type = default)", () => {
    const start = named(r);
    r.expect(":");
    const [type, nullable] = [r.name(), r.flag("?")];
    r.expect("=");
    const preset = readDefault(r);
    const options = r.sees("(") ? readArguments(r) : [];
    const doc = r.next.kind === "text" ? r.text() : undefined;
    return { kind: "field", ...start, type, nullable, default: preset, options, doc };
  });

const lets = (r: Reader, shared: boolean): Item[] =>
  r.several(() => ({ kind: "let", ...named(r), value: value(r), shared }));

const severities: Readonly<Record<string, RequireItem["severity"]>> = { else: "error", warn: "warning", save: "file" };

export const readKinds = (r: Reader): { readonly name: string; readonly at: Place }[] => r.several(() => named(r));

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

const tensorSyntax = (word: string): string =>
  `${word} NAME[EXTENT, ...] (for K: FROM .. TO (by STEP)?)? = FIRST CLAUSE ...;`;

function family(r: Reader): Family {
  const name = r.name();
  r.expect(":");
  const from = readExpression(r);
  r.expect("..");
  return { name, from, to: readExpression(r), by: r.behind("by", () => readExpression(r)) };
}

function readTensor(r: Reader, role: TensorRole): TensorItem {
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

const tensor = (doc: string, word = "NAME"): Statement => ({
  what: "a tensor declaration",
  syntax: tensorSyntax(word),
  doc,
  read: (r, { image }) => [readTensor(r, image as TensorRole)],
});

export const statements: Readonly<Record<string, Statement>> = {
  config: {
    what: "a list of config fields",
    syntax: 'config NAME: TYPE = DEFAULT (OPTION: VALUE, ...) "sentence", ...;',
    doc: "Fields of the adapter's config, with PEFT's names, types and defaults. A type with ? may be null.",
    read: (r) => r.several(() => field(r)),
  },
  param: tensor("A tensor that trains and is saved, one for every site.", "param"),
  shared: {
    ...tensor(
      "One tensor of the whole model: frozen, or trained as shared param. shared let: a value of the whole model.",
      "shared param?",
    ),
    read: (r) => (r.flag("let") ? lets(r, true) : [readTensor(r, "shared")]),
  },
  buffer: tensor("A frozen tensor that is saved, one for every site.", "buffer"),
  const: tensor("Numbers of the host, known before a graph is built; saved where they have a key.", "const"),
  computed: tensor("A function of what trains, of the whole model; saved for those who cannot compute it.", "computed"),
  stream: {
    syntax: "stream NAME = VALUE;",
    doc: "Random numbers as PyTorch draws them, in the order of the text.",
    read: (r) => [{ kind: "stream", ...named(r), value: value(r) }],
  },
  input: {
    syntax: "input NAME[length]? below COUNT (as OPTION)? (else VALUE)?;",
    doc: "Whole numbers that come with a batch: one for every sample, or with [length] for every token of the text.",
    read: (r) => {
      const start = named(r);
      const per = r.sees("[") ? inBrackets(r, () => r.name()) : undefined;
      r.expect("below");
      const below = readExpression(r);
      const option = r.behind("as", () => r.name());
      return [{ kind: "input", ...start, per, below, option, fill: r.behind("else", () => readExpression(r)) }];
    },
  },
  given: {
    syntax: "given NAME[COUNT];",
    doc: "Numbers that the user gives where one W' for all samples is wanted.",
    read: (r) => [{ kind: "option", ...named(r), size: inBrackets(r, () => readExpression(r)) }],
  },
  mixes: {
    syntax: "mixes FIELD (trained if CONDITION)?;",
    doc: "Other adapters, which the config field names, whose changes mixture adds up.",
    read: (r, { at }) => [{ kind: "mixes", field: r.name(), at, trained: r.behind("trained", () => readCondition(r)) }],
  },
  report: {
    syntax: "report NAME = VALUE;",
    doc: "What of a forward pass can be read afterwards, under its name.",
    read: (r) => [{ kind: "report", ...named(r), value: value(r) }],
  },
  let: {
    syntax: "let NAME = VALUE, ...;",
    doc: "Names for values; a value is worked out where it is first read.",
    read: (r) => lets(r, false),
  },
  require: {
    syntax: 'require CONDITION (else | warn | save) "message" (help "text")?;',
    doc: "What must hold, else an error, a warning, or a note on the file; {name} in the text stands for a value.",
    read: (r, { at }) => {
      const condition = readExpression(r);
      const severity = severities[r.expect(...Object.keys(severities)).image]!;
      return [{ kind: "require", condition, severity, message: r.text(), at, help: r.behind("help", () => r.text()) }];
    },
  },
  on: {
    what: "an on block",
    syntax: "on KIND, ... (from FIELD)? tied? backwards? { ... }",
    doc: "Statements for sites of some kinds; a site has the statements of all blocks that name its kind.",
    read: (r, { at: head }) => {
      const kinds = readKinds(r);
      const from = r.behind("from", () => r.name());
      const [tied, backwards] = [r.flag("tied"), r.flag("backwards")];
      const items = readItems(r);
      const more = { kind: "on", from, tied, backwards, items, head } as const;
      return kinds.map(({ name: siteKind, at }) => ({ ...more, siteKind, at }));
    },
  },
};

export const assignment: Statement = {
  what: "an assignment",
  syntax: "W' = VALUE;",
  doc: "What the method makes of a site.",
  read: (r, { image, at }) => [{ kind: "target", name: image.slice(0, -1), value: value(r), at }],
};

/** `{ statements }`; a statement with a fault is passed over, so that all faults of a text are told at once. */
export function readItems(r: Reader): Item[] {
  return r.as(bodyOfBlock, () => {
    const [items, faults]: [Item[], number] = [[], r.faults.length];
    r.expect("{");
    while (!r.sees("}") && !(r.atEnd && r.faults.length > faults)) items.push(...r.statement(() => readStatement(r)));
    r.accept("}");
    return items;
  });
}

function readStatement(r: Reader): Item[] {
  const { kind, image } = r.next;
  const row = kind === "target" ? assignment : kind === "word" ? statements[image] : undefined;
  if (row === undefined) return r.fail('"}"');
  return r.as(row.what ?? `${image === "input" ? "an" : "a"} ${image}`, () => {
    const made = row.read(r, r.take());
    if (row !== statements.on) r.expect(";");
    return made;
  });
}
