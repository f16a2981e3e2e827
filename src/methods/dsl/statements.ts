/** The statements of a method, a row each by the word that it begins with; the rows are read by the parser, its messages and the documentation. */
import type { Expression, FieldItem, InputItem, Item, LetItem, MixesItem, OnItem, Place, RequireItem } from "./ast.ts";
import { readArguments, readDefault, readExpression } from "./expressions.ts";
import { bodyOfBlock, type Reader } from "./reader.ts";
import { readTensor, tensorSyntax, withGiven } from "./tensors.ts";

export interface Statement {
  /** What it is called in messages. */
  readonly what: string;
  readonly syntax: string;
  readonly doc: string;
  /** Reads it, its first word and its semicolon included. */
  readonly read: (r: Reader) => Item[];
}

/** A word and a name. */
function named(r: Reader): { readonly name: string; readonly at: Place } {
  r.take();
  const { image: name, at } = r.of("name");
  return { name, at };
}

function value(r: Reader): Expression {
  r.expect("=");
  return readExpression(r);
}

const ended = <T extends Item>(r: Reader, ...items: T[]): T[] => {
  r.expect(";");
  return items;
};

const field = (r: Reader): FieldItem =>
  r.as("a config field (name: type = default)", () => {
    const { image: name, at } = r.of("name");
    r.expect(":");
    const [type, nullable] = [r.name(), r.accept("?") !== undefined];
    r.expect("=");
    const preset = readDefault(r);
    const options = r.sees("(") ? readArguments(r) : [];
    const doc = r.next.kind === "text" ? r.text() : undefined;
    return withGiven<FieldItem>({ kind: "field", name, type, nullable, default: preset, options, doc, at });
  });

function input(r: Reader): InputItem {
  const { name, at } = named(r);
  const per = r.behind("[", () => {
    const word = r.name();
    r.expect("]");
    return word;
  });
  r.expect("below");
  const below = readExpression(r);
  const option = r.behind("as", () => r.name());
  const fill = r.behind("else", () => readExpression(r));
  return withGiven<InputItem>({ kind: "input", name, per, below, option, fill, at });
}

function lets(r: Reader): LetItem[] {
  const shared = r.accept("shared") === undefined ? undefined : true;
  r.expect("let");
  return r.several(() => {
    const { image: name, at } = r.of("name");
    return withGiven<LetItem>({ kind: "let", name, value: value(r), at, shared });
  });
}

const severities: Readonly<Record<string, RequireItem["severity"]>> = { else: "error", warn: "warning", save: "file" };

function requirement(r: Reader): RequireItem {
  const { at } = r.take();
  const condition = readExpression(r);
  const severity = severities[r.expect(...Object.keys(severities)).image]!;
  const message = r.text();
  const help = r.behind("help", () => r.text());
  return withGiven<RequireItem>({ kind: "require", condition, severity, message, at, help });
}

export const readKinds = (r: Reader): OnItem["siteKinds"] =>
  r.several(() => {
    const { image: name, at } = r.of("name");
    return { name, at };
  });

function block(r: Reader): OnItem {
  const { at } = r.take();
  const siteKinds = readKinds(r);
  const from = r.behind("from", () => r.name());
  const [tied, backwards] = [r.accept("tied") !== undefined, r.accept("backwards") !== undefined];
  return withGiven<OnItem>({ kind: "on", siteKinds, from, tied, backwards, items: readItems(r), at });
}

const tensor = (doc: string, word = "NAME"): Statement => ({
  what: "a tensor declaration",
  syntax: tensorSyntax(word),
  doc,
  read: (r) => ended(r, readTensor(r)),
});

export const statements: Readonly<Record<string, Statement>> = {
  config: {
    what: "a list of config fields",
    syntax: 'config NAME: TYPE = DEFAULT (OPTION: VALUE, ...) "sentence", ...;',
    doc: "Fields of the adapter's config, with PEFT's names, types and defaults. A type with ? may be null.",
    read: (r) => {
      r.take();
      return ended<Item>(r, ...r.several(() => field(r)));
    },
  },
  param: tensor("A tensor that trains and is saved, one for every site.", "param"),
  shared: {
    ...tensor(
      "One tensor of the whole model: frozen, or trained as shared param. shared let: a value of the whole model.",
      "shared param?",
    ),
    read: (r) => (r.after.image === "let" ? statements.let!.read(r) : ended(r, readTensor(r))),
  },
  buffer: tensor("A frozen tensor that is saved, one for every site.", "buffer"),
  const: tensor("Numbers of the host, known before a graph is built; saved where they have a key.", "const"),
  computed: tensor("A function of what trains, of the whole model; saved for those who cannot compute it.", "computed"),
  stream: {
    what: "a stream",
    syntax: "stream NAME = VALUE;",
    doc: "Random numbers as PyTorch draws them, in the order of the text.",
    read: (r) => ended(r, { kind: "stream", ...named(r), value: value(r) }),
  },
  input: {
    what: "an input",
    syntax: "input NAME[length]? below COUNT (as OPTION)? (else VALUE)?;",
    doc: "Whole numbers that come with a batch: one for every sample, or with [length] for every token of the text.",
    read: (r) => ended(r, input(r)),
  },
  given: {
    what: "a given",
    syntax: "given NAME[COUNT];",
    doc: "Numbers that the user gives where one W' for all samples is wanted.",
    read: (r) => {
      const { name, at } = named(r);
      r.expect("[");
      const size = readExpression(r);
      r.expect("]");
      return ended(r, { kind: "option", name, size, at });
    },
  },
  mixes: {
    what: "a mixes",
    syntax: "mixes FIELD (trained if CONDITION)?;",
    doc: "Other adapters, which the config field names, whose changes mixture adds up.",
    read: (r) => {
      const { at } = r.take();
      const field = r.name();
      const trained = r.behind("trained", () => {
        r.expect("if");
        return readExpression(r);
      });
      return ended(r, withGiven<MixesItem>({ kind: "mixes", field, at, trained }));
    },
  },
  report: {
    what: "a report",
    syntax: "report NAME = VALUE;",
    doc: "What of a forward pass can be read afterwards, under its name.",
    read: (r) => ended(r, { kind: "report", ...named(r), value: value(r) }),
  },
  let: {
    what: "a let",
    syntax: "let NAME = VALUE, ...;",
    doc: "Names for values; a value is worked out where it is first read.",
    read: (r) => ended(r, ...lets(r)),
  },
  require: {
    what: "a require",
    syntax: 'require CONDITION (else | warn | save) "message" (help "text")?;',
    doc: "What must hold, else an error, a warning, or a note on the file; {name} in the text stands for a value.",
    read: (r) => ended(r, requirement(r)),
  },
  on: {
    what: "an on block",
    syntax: "on KIND, ... (from FIELD)? tied? backwards? { ... }",
    doc: "Statements for sites of some kinds; a site has the statements of all blocks that name its kind.",
    read: (r) => [block(r)],
  },
};

export const assignment: Statement = {
  what: "an assignment",
  syntax: "W' = VALUE;",
  doc: "What the method makes of a site.",
  read: (r) => {
    const { image, at } = r.of("target");
    return ended(r, { kind: "target", name: image.slice(0, -1), value: value(r), at });
  },
};

/** `{ statements }`; a statement with a fault is passed over, so that all faults of a text are told at once. */
export function readItems(r: Reader): Item[] {
  return r.as(bodyOfBlock, () => {
    const [items, faults]: [Item[], number] = [[], r.faults.length];
    r.expect("{");
    while (!r.sees("}") && !(r.atEnd && r.faults.length > faults))
      items.push(
        ...r.statement(() => {
          const { kind, image } = r.next;
          const row = kind === "target" ? assignment : kind === "word" ? statements[image] : undefined;
          if (row === undefined) return r.fail('"}"');
          return r.as(row.what, () => row.read(r));
        }),
      );
    r.accept("}");
    return items;
  });
}
