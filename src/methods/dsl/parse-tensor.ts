/**
 * The grammar of declared tensors in method fragments.
 *
 *   tensor     = ("param" | "shared" "param"? | "buffer" | "const" | "computed") name "[" expression,* "]" family? "=" expression clause* ";"
 *   family     = "for" name ":" expression ".." expression ("by" expression)?
 *   clause     = "at" text "tied"? ("also" text)? ("from" name)? | "as" name | "save" "if" expression
 *              | "coded" name "(" arguments ")" ("if" expression)? | "within" expression | "replaces" expression | "project" ("if" primary)? name "(" arguments ")" | "when" expression
 */
import type { Expression, Family, Item, TensorItem, TensorRole } from "./ast.ts";
import { ExpressionParser, missing, place, type Rule, unquoted } from "./parse-expression.ts";

export abstract class TensorParser extends ExpressionParser {
  /** Tensors seen so far in the fragment. */
  protected tensors = 0;

  protected readonly tensor: Rule<Item[]> = this.listRule("tensor", (): Item[] => {
    const word = this.OR([
      { ALT: () => this.CONSUME(this.t.word.param) },
      { ALT: () => this.CONSUME(this.t.word.shared) },
      { ALT: () => this.CONSUME(this.t.word.buffer) },
      { ALT: () => this.CONSUME(this.t.word.const) },
      { ALT: () => this.CONSUME(this.t.word.computed) },
    ]);
    const trained = this.OPTION(() => this.CONSUME2(this.t.word.param)) !== undefined;
    const name = this.CONSUME(this.t.name);
    const shape: Expression[] = [];
    this.CONSUME(this.t.sign.OpenBracket);
    this.MANY_SEP({ SEP: this.t.sign.Comma, DEF: () => shape.push(this.SUBRULE(this.expression)) });
    this.CONSUME(this.t.sign.CloseBracket);
    const family = this.OPTION2(() => this.SUBRULE(this.family));
    this.CONSUME(this.t.sign.Assign);
    const value = this.SUBRULE2(this.expression);
    let clauses: Partial<TensorItem> = {};
    this.MANY(() => {
      const clause = this.SUBRULE(this.clause);
      this.ACTION(() => {
        clauses = { ...clauses, ...clause };
      });
    });
    this.CONSUME(this.t.sign.Semicolon);
    const ordinal = this.tensors++;
    const role = word.image as TensorRole;
    return [
      {
        kind: "tensor",
        role,
        name: name.image,
        shape,
        value,
        ordinal,
        at: place(name),
        ...(trained ? { trained } : {}),
        ...(family === undefined ? {} : { family }),
        ...clauses,
      },
    ];
  });

  private readonly family: Rule<Family> = this.RULE(
    "family",
    () => {
      this.CONSUME(this.t.word.for);
      const name = this.CONSUME(this.t.name).image;
      this.CONSUME(this.t.sign.Colon);
      const from = this.SUBRULE(this.expression);
      this.CONSUME(this.t.sign.Range);
      const to = this.SUBRULE2(this.expression);
      const by = this.OPTION(() => {
        this.CONSUME(this.t.word.by);
        return this.SUBRULE3(this.expression);
      });
      return { name, from, to, ...(by === undefined ? {} : { by }) };
    },
    { recoveryValueFunc: () => ({ name: "", from: missing(), to: missing() }) },
  );

  private readonly clause: Rule<Partial<TensorItem>> = this.RULE(
    "clause",
    (): Partial<TensorItem> =>
      this.OR([
        {
          ALT: () => {
            this.CONSUME(this.t.word.at);
            const key = unquoted(this.CONSUME(this.t.text));
            const tied = this.OPTION(() => this.CONSUME(this.t.word.tied)) !== undefined;
            const also = this.OPTION2(() => {
              this.CONSUME(this.t.word.also);
              return unquoted(this.CONSUME2(this.t.text));
            });
            const file = this.OPTION3(() => {
              this.CONSUME(this.t.word.from);
              return this.CONSUME(this.t.name).image;
            });
            return {
              key,
              ...(tied ? { tied } : {}),
              ...(also === undefined ? {} : { also }),
              ...(file === undefined ? {} : { file }),
            };
          },
        },
        {
          ALT: () => {
            this.CONSUME(this.t.word.save);
            this.CONSUME(this.t.word.if);
            return { saveIf: this.SUBRULE(this.expression) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(this.t.word.as);
            return { storedAs: this.CONSUME2(this.t.name).image };
          },
        },
        { ALT: () => ({ coded: this.SUBRULE(this.coding) }) },
        {
          ALT: () => {
            this.CONSUME(this.t.word.within);
            return { within: this.SUBRULE3(this.expression) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(this.t.word.replaces);
            return { replaces: this.SUBRULE4(this.expression) };
          },
        },
        { ALT: () => ({ project: this.SUBRULE(this.projection) }) },
        {
          ALT: () => {
            this.CONSUME(this.t.word.when);
            return { when: this.SUBRULE2(this.expression) };
          },
        },
      ]),
    { recoveryValueFunc: () => ({}) },
  );

  private readonly coding: Rule<NonNullable<TensorItem["coded"]>> = this.RULE(
    "coding",
    () => {
      this.CONSUME(this.t.word.coded);
      const name = this.CONSUME(this.t.name);
      const values = this.SUBRULE(this.argumentsInParentheses);
      const call = this.ACTION(() => this.call({ kind: "name", name: name.image, at: place(name) }, values));
      const condition = this.OPTION(() => {
        this.CONSUME(this.t.word.if);
        return this.SUBRULE(this.expression);
      });
      return condition === undefined ? { call } : { condition, call };
    },
    { recoveryValueFunc: () => ({ call: this.call(missing(), []) }) },
  );

  private readonly projection: Rule<NonNullable<TensorItem["project"]>> = this.RULE(
    "projection",
    () => {
      this.CONSUME(this.t.word.project);
      const condition = this.OPTION(() => {
        this.CONSUME(this.t.word.if);
        return this.SUBRULE(this.primary);
      });
      const name = this.CONSUME(this.t.name);
      const values = this.SUBRULE(this.argumentsInParentheses);
      const call = this.ACTION(() => this.call({ kind: "name", name: name.image, at: place(name) }, values));
      return condition === undefined ? { call } : { condition, call };
    },
    { recoveryValueFunc: () => ({ call: this.call(missing(), []) }) },
  );
}
