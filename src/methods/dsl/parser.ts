/**
 * The grammar of method fragments (chevrotain, made anew for every parse). Expressions stand in `parse-expression.ts`, tensors in `parse-tensor.ts`.
 *
 *   method     = "method" name ("on" kinds)? "{" item* "}"
 *   item       = fields | tensor | stream | input | given | mixes | report | let | require | target | "on" kinds ("from" name)? "tied"? "backwards"? "{" item* "}"
 *   kinds      = name ("," name)*
 *   fields     = "config" field ("," field)* ";"
 *   field      = name ":" name "?"? "=" "-"? primary ("(" arguments ")")? text?
 *   input      = "input" name ("[" name "]")? "below" expression ("as" name)? ("else" expression)? ";"
 *   given      = "given" name "[" expression "]" ";"
 *   mixes      = "mixes" name ("trained" "if" expression)? ";"
 *   report     = "report" name "=" expression ";"
 *   stream     = "stream" name "=" expression ";"
 *   let        = "shared"? "let" name "=" expression ("," name "=" expression)* ";"
 *   require    = "require" expression ("else" | "warn" | "save") text ("help" text)? ";"
 *   target     = name "'" "=" expression ";"
 */
import type { IParserErrorMessageProvider } from "chevrotain";
import type { Argument, FieldItem, Item, LetItem, MethodAst, OnItem, Place, RequireItem } from "./ast.ts";
import { arranged } from "./blocks.ts";
import { missing, nowhere, place, type Rule, unquoted } from "./parse-expression.ts";
import { TensorParser } from "./parse-tensor.ts";
import type { Tokens } from "./tokens.ts";

type Header = Pick<MethodAst, "name" | "items" | "blocks" | "at">;

const noField = (): FieldItem => ({
  kind: "field",
  name: "",
  type: "",
  nullable: false,
  default: missing(),
  options: [],
  at: nowhere,
});

export class FragmentParser extends TensorParser {
  constructor(tokens: Tokens, errorMessageProvider: IParserErrorMessageProvider) {
    super(tokens, errorMessageProvider);
    this.performSelfAnalysis();
  }

  readonly method: Rule<Header> = this.RULE(
    "method",
    (): Header => {
      this.ACTION(() => {
        this.calls = 0;
        this.tensors = 0;
      });
      const start = this.CONSUME(this.t.word.method);
      const name = this.CONSUME(this.t.name).image;
      const siteKinds =
        this.OPTION(() => {
          this.CONSUME(this.t.word.on);
          return this.SUBRULE(this.kinds);
        }) ?? [];
      const all = this.SUBRULE(this.itemsInBraces);
      return this.ACTION(() => ({ name, ...arranged(siteKinds, all, place(start)), at: place(start) }));
    },
    { recoveryValueFunc: () => ({ name: "", items: [], blocks: [], at: nowhere }) },
  );

  private readonly itemsInBraces: Rule<Item[]> = this.listRule("items", (): Item[] => {
    const items: Item[] = [];
    this.CONSUME(this.t.sign.OpenBrace);
    this.MANY(() => {
      const made = this.SUBRULE(this.item);
      this.ACTION(() => items.push(...made));
    });
    this.CONSUME(this.t.sign.CloseBrace);
    return items;
  });

  private readonly item: Rule<Item[]> = this.listRule("item", (): Item[] =>
    this.OR([
      { ALT: () => this.SUBRULE(this.fields) },
      { ALT: () => this.SUBRULE(this.tensor) },
      { ALT: () => this.SUBRULE(this.stream) },
      { ALT: () => this.SUBRULE(this.batchInput) },
      { ALT: () => this.SUBRULE(this.given) },
      { ALT: () => this.SUBRULE(this.mixes) },
      { ALT: () => this.SUBRULE(this.report) },
      { ALT: () => this.SUBRULE(this.lets) },
      { ALT: () => this.SUBRULE(this.require) },
      { ALT: () => this.SUBRULE(this.target) },
      { ALT: () => this.SUBRULE(this.block) },
    ]),
  );

  private readonly block: Rule<Item[]> = this.listRule("block", (): Item[] => {
    const at = place(this.CONSUME(this.t.word.on));
    const siteKinds = this.SUBRULE(this.kinds);
    const from = this.OPTION(() => {
      this.CONSUME(this.t.word.from);
      return this.CONSUME(this.t.name).image;
    });
    const tied = this.OPTION2(() => this.CONSUME(this.t.word.tied)) !== undefined;
    const backwards = this.OPTION3(() => this.CONSUME(this.t.word.backwards)) !== undefined;
    const items = this.SUBRULE(this.itemsInBraces);
    return [{ kind: "on", siteKinds, ...(from === undefined ? {} : { from }), tied, backwards, items, at }];
  });

  private readonly kinds: Rule<OnItem["siteKinds"]> = this.RULE(
    "kinds",
    () => {
      const names: { name: string; at: Place }[] = [];
      this.AT_LEAST_ONE_SEP({
        SEP: this.t.sign.Comma,
        DEF: () => {
          const token = this.CONSUME(this.t.name);
          this.ACTION(() => names.push({ name: token.image, at: place(token) }));
        },
      });
      return names;
    },
    { recoveryValueFunc: () => [] },
  );

  private readonly fields: Rule<Item[]> = this.listRule("fields", (): Item[] => {
    const fields: FieldItem[] = [];
    this.CONSUME(this.t.word.config);
    this.AT_LEAST_ONE_SEP({
      SEP: this.t.sign.Comma,
      DEF: () => fields.push(this.SUBRULE(this.field)),
    });
    this.CONSUME(this.t.sign.Semicolon);
    return fields;
  });

  private readonly field: Rule<FieldItem> = this.RULE(
    "field",
    (): FieldItem => {
      const name = this.CONSUME(this.t.name);
      this.CONSUME(this.t.sign.Colon);
      const type = this.CONSUME2(this.t.name).image;
      let nullable = false;
      this.OPTION(() => {
        this.CONSUME(this.t.sign.Question);
        nullable = true;
      });
      this.CONSUME(this.t.sign.Assign);
      const value = this.SUBRULE(this.signedLiteral);
      let options: Argument[] = [];
      this.OPTION2(() => {
        options = this.SUBRULE(this.argumentsInParentheses);
      });
      const doc = this.OPTION3(() => unquoted(this.CONSUME(this.t.text)));
      const rest = doc === undefined ? {} : { doc };
      return { kind: "field", name: name.image, type, nullable, default: value, options, at: place(name), ...rest };
    },
    { recoveryValueFunc: noField },
  );

  private readonly stream: Rule<Item[]> = this.listRule("stream", (): Item[] => {
    this.CONSUME(this.t.word.stream);
    const name = this.CONSUME(this.t.name);
    this.CONSUME(this.t.sign.Assign);
    const value = this.SUBRULE(this.expression);
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "stream", name: name.image, value, at: place(name) }];
  });

  private readonly batchInput: Rule<Item[]> = this.listRule("batchInput", (): Item[] => {
    this.CONSUME(this.t.word.input);
    const name = this.CONSUME(this.t.name);
    const per = this.OPTION(() => {
      this.CONSUME(this.t.sign.OpenBracket);
      const word = this.CONSUME2(this.t.name).image;
      this.CONSUME(this.t.sign.CloseBracket);
      return { per: word };
    });
    this.CONSUME(this.t.word.below);
    const below = this.SUBRULE(this.expression);
    const option = this.OPTION2(() => {
      this.CONSUME(this.t.word.as);
      return { option: this.CONSUME3(this.t.name).image };
    });
    const fill = this.OPTION3(() => {
      this.CONSUME(this.t.word.else);
      return { fill: this.SUBRULE2(this.expression) };
    });
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "input", name: name.image, ...per, below, ...option, ...fill, at: place(name) }];
  });

  private readonly given: Rule<Item[]> = this.listRule("given", (): Item[] => {
    this.CONSUME(this.t.word.given);
    const name = this.CONSUME(this.t.name);
    this.CONSUME(this.t.sign.OpenBracket);
    const size = this.SUBRULE(this.expression);
    this.CONSUME(this.t.sign.CloseBracket);
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "option", name: name.image, size, at: place(name) }];
  });

  private readonly mixes: Rule<Item[]> = this.listRule("mixes", (): Item[] => {
    const at = place(this.CONSUME(this.t.word.mixes));
    const field = this.CONSUME(this.t.name).image;
    const trained = this.OPTION(() => {
      this.CONSUME(this.t.word.trained);
      this.CONSUME(this.t.word.if);
      return this.SUBRULE(this.expression);
    });
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "mixes", field, at, ...(trained === undefined ? {} : { trained }) }];
  });

  private readonly report: Rule<Item[]> = this.listRule("report", (): Item[] => {
    this.CONSUME(this.t.word.report);
    const name = this.CONSUME(this.t.name);
    this.CONSUME(this.t.sign.Assign);
    const value = this.SUBRULE(this.expression);
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "report", name: name.image, value, at: place(name) }];
  });

  private readonly lets: Rule<Item[]> = this.listRule("let", (): Item[] => {
    const items: LetItem[] = [];
    const shared = this.OPTION(() => this.CONSUME(this.t.word.shared)) !== undefined;
    this.CONSUME(this.t.word.let);
    this.AT_LEAST_ONE_SEP({
      SEP: this.t.sign.Comma,
      DEF: () => {
        const name = this.CONSUME(this.t.name);
        this.CONSUME(this.t.sign.Assign);
        const value = this.SUBRULE(this.expression);
        items.push({ kind: "let", name: name.image, value, at: place(name), ...(shared ? { shared } : {}) });
      },
    });
    this.CONSUME(this.t.sign.Semicolon);
    return items;
  });

  private readonly require: Rule<Item[]> = this.listRule("require", (): Item[] => {
    const at = place(this.CONSUME(this.t.word.require));
    const condition = this.SUBRULE(this.expression);
    const severity = this.OR<RequireItem["severity"]>([
      {
        ALT: () => {
          this.CONSUME(this.t.word.else);
          return "error";
        },
      },
      {
        ALT: () => {
          this.CONSUME(this.t.word.warn);
          return "warning";
        },
      },
      {
        ALT: () => {
          this.CONSUME(this.t.word.save);
          return "file";
        },
      },
    ]);
    const message = unquoted(this.CONSUME(this.t.text));
    const help = this.OPTION(() => {
      this.CONSUME(this.t.word.help);
      return unquoted(this.CONSUME2(this.t.text));
    });
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "require", condition, severity, message, at, ...(help === undefined ? {} : { help }) }];
  });

  private readonly target: Rule<Item[]> = this.listRule("target", (): Item[] => {
    const token = this.CONSUME(this.t.target);
    this.CONSUME(this.t.sign.Assign);
    const value = this.SUBRULE(this.expression);
    this.CONSUME(this.t.sign.Semicolon);
    return [{ kind: "target", name: token.image.slice(0, -1), value, at: place(token) }];
  });
}
