/**
 * The grammar of expressions in method fragments.
 *
 *   expression = or ("?" expression ":" expression)?            loosest first: or, and, not, comparison, + -, * / .*, -, @, postfix
 *   postfix    = primary ("." name | "(" arguments ")" | "[" index,* "]")*
 *   argument   = (name ":")? expression (".." expression)?
 *   index      = expression | expression? ":" expression?
 */
import { EmbeddedActionsParser, type IParserErrorMessageProvider, type IToken, type ParserMethod } from "chevrotain";
import type { Argument, BinaryOperator, CallExpression, Expression, IndexItem, Place } from "./ast.ts";
import { todaysWord } from "./old-words.ts";
import type { Tokens } from "./tokens.ts";

export type Rule<T> = ParserMethod<[], T>;

export const place = (token: IToken): Place => ({ line: token.startLine ?? 0, column: token.startColumn ?? 0 });

/** The text of a quoted token; `\"`, `\\` and `\n` are the only escapes. */
export const unquoted = (token: IToken): string =>
  token.image.slice(1, -1).replace(/\\(.)/g, (_all, escaped: string) => (escaped === "n" ? "\n" : escaped));

export const nowhere: Place = { line: 0, column: 0 };
export const missing = (): Expression => ({ kind: "literal", value: null, at: nowhere });

export abstract class ExpressionParser extends EmbeddedActionsParser {
  /** Calls seen so far in the fragment. */
  protected calls = 0;

  constructor(
    protected readonly t: Tokens,
    errorMessageProvider: IParserErrorMessageProvider,
  ) {
    super([...t.all], { recoveryEnabled: true, maxLookahead: 2, errorMessageProvider });
  }

  /** A rule that answers with a null literal after an error; the tree is thrown away then, but the actions go on. */
  private expressionRule(name: string, body: () => Expression): Rule<Expression> {
    return this.RULE(name, body, { recoveryValueFunc: missing });
  }

  protected listRule<T>(name: string, body: () => T[]): Rule<T[]> {
    return this.RULE<() => T[]>(name, body, { recoveryValueFunc: () => [] });
  }

  protected readonly expression: Rule<Expression> = this.expressionRule("expression", (): Expression => {
    const condition = this.SUBRULE(this.disjunction);
    let result = condition;
    this.OPTION(() => {
      this.CONSUME(this.t.sign.Question);
      const yes = this.SUBRULE(this.expression);
      this.CONSUME(this.t.sign.Colon);
      const no = this.SUBRULE2(this.expression);
      result = { kind: "choice", condition, yes, no, at: condition.at };
    });
    return result;
  });

  private readonly disjunction = this.leftToRight(
    "disjunction",
    () => this.conjunction,
    () => [this.t.word.or],
  );
  private readonly conjunction = this.leftToRight(
    "conjunction",
    () => this.negation,
    () => [this.t.word.and],
  );

  private readonly negation: Rule<Expression> = this.expressionRule(
    "negation",
    (): Expression =>
      this.OR([
        {
          ALT: () => {
            const at = place(this.CONSUME(this.t.word.not));
            return { kind: "unary", operator: "not", operand: this.SUBRULE(this.negation), at };
          },
        },
        { ALT: () => this.SUBRULE(this.comparison) },
      ]),
  );

  private readonly comparison = this.leftToRight(
    "comparison",
    () => this.sum,
    () => {
      const { Equal, Unequal, AtMost, AtLeast, Less, Greater } = this.t.sign;
      return [Equal, Unequal, AtMost, AtLeast, Less, Greater];
    },
  );
  private readonly sum = this.leftToRight(
    "sum",
    () => this.product,
    () => [this.t.sign.Plus, this.t.sign.Minus],
  );
  private readonly product = this.leftToRight(
    "product",
    () => this.signed,
    () => {
      const { Times, Divide, Elementwise } = this.t.sign;
      return [Times, Divide, Elementwise];
    },
  );

  private readonly signed: Rule<Expression> = this.expressionRule(
    "signed",
    (): Expression =>
      this.OR([
        {
          ALT: () => {
            const at = place(this.CONSUME(this.t.sign.Minus));
            return { kind: "unary", operator: "-", operand: this.SUBRULE(this.signed), at };
          },
        },
        { ALT: () => this.SUBRULE(this.composition) },
      ]),
  );

  /** A default: what follows it in parentheses are options and no arguments. */
  protected readonly signedLiteral: Rule<Expression> = this.expressionRule("default", (): Expression => {
    const minus = this.OPTION(() => this.CONSUME(this.t.sign.Minus));
    const operand = this.SUBRULE(this.primary);
    return minus === undefined ? operand : { kind: "unary", operator: "-", operand, at: place(minus) };
  });

  private readonly composition = this.leftToRight(
    "composition",
    () => this.postfix,
    () => [this.t.sign.Compose],
  );

  /** `operand (operator operand)*`, read from left to right. */
  private leftToRight(name: string, operand: () => Rule<Expression>, operators: () => Tokens["all"]): Rule<Expression> {
    return this.expressionRule(name, (): Expression => {
      let left = this.SUBRULE(operand());
      this.MANY(() => {
        const token = this.OR(operators().map((type, i) => ({ ALT: () => this.consume(i, type) })));
        const right = this.SUBRULE2(operand());
        left = { kind: "binary", operator: token.image as BinaryOperator, left, right, at: place(token) };
      });
      return left;
    });
  }

  private readonly postfix: Rule<Expression> = this.expressionRule("postfix", (): Expression => {
    let result = this.SUBRULE(this.primary);
    this.MANY(() => {
      result = this.OR([
        {
          ALT: () => {
            const at = place(this.CONSUME(this.t.sign.Dot));
            return { kind: "member", object: result, name: this.CONSUME(this.t.name).image, at };
          },
        },
        {
          ALT: () => {
            const values = this.SUBRULE(this.argumentsInParentheses);
            return this.ACTION(() => this.inTodaysWords(this.call(result, values)));
          },
        },
        { ALT: () => ({ kind: "index", object: result, items: this.SUBRULE(this.indices), at: result.at }) },
      ]);
    });
    return result;
  });

  protected call(callee: Expression, values: readonly Argument[]): CallExpression {
    return { kind: "call", callee, arguments: values, ordinal: this.calls++, at: callee.at };
  }

  private inTodaysWords(call: CallExpression): Expression {
    const { callee, arguments: given, at } = call;
    if (callee.kind !== "name") return call;
    const made = todaysWord(callee.name, given, at);
    if (typeof made === "string") return { ...call, callee: { ...callee, name: made } };
    if (callee.name !== "quotient") return made;
    return { ...call, callee: { ...callee, name: "floor" }, arguments: [{ value: made, at }] };
  }

  private readonly indices: Rule<IndexItem[]> = this.listRule("indices", (): IndexItem[] => {
    const items: IndexItem[] = [];
    this.CONSUME(this.t.sign.OpenBracket);
    this.AT_LEAST_ONE_SEP({ SEP: this.t.sign.Comma, DEF: () => items.push(this.SUBRULE(this.indexItem)) });
    this.CONSUME(this.t.sign.CloseBracket);
    return items;
  });

  private readonly indexItem: Rule<IndexItem> = this.RULE(
    "index",
    (): IndexItem => {
      const at = place(this.LA(1));
      const start = this.OPTION(() => this.SUBRULE(this.expression));
      let item: IndexItem | undefined;
      this.OPTION2(() => {
        this.CONSUME(this.t.sign.Colon);
        const limit = this.OPTION3(() => this.SUBRULE2(this.expression));
        item = {
          kind: "slice",
          at,
          ...(start === undefined ? {} : { start }),
          ...(limit === undefined ? {} : { limit }),
        };
      });
      return item ?? { kind: "element", value: start ?? missing(), at };
    },
    { recoveryValueFunc: (): IndexItem => ({ kind: "element", value: missing(), at: nowhere }) },
  );

  protected readonly argumentsInParentheses: Rule<Argument[]> = this.listRule("arguments", (): Argument[] => {
    const values: Argument[] = [];
    this.CONSUME(this.t.sign.OpenParenthesis);
    this.MANY_SEP({ SEP: this.t.sign.Comma, DEF: () => values.push(this.SUBRULE(this.argument)) });
    this.CONSUME(this.t.sign.CloseParenthesis);
    return values;
  });

  private readonly argument: Rule<Argument> = this.RULE(
    "argument",
    (): Argument => {
      const at = place(this.LA(1));
      const name = this.OPTION(() => {
        const token = this.CONSUME(this.t.name);
        this.CONSUME(this.t.sign.Colon);
        return token.image;
      });
      const value = this.SUBRULE(this.expression);
      const to = this.OPTION2(() => {
        this.CONSUME(this.t.sign.Range);
        return this.SUBRULE2(this.expression);
      });
      return { value, at, ...(name === undefined ? {} : { name }), ...(to === undefined ? {} : { to }) };
    },
    { recoveryValueFunc: (): Argument => ({ value: missing(), at: nowhere }) },
  );

  protected readonly primary: Rule<Expression> = this.expressionRule(
    "primary",
    (): Expression =>
      this.OR([
        { ALT: () => this.literal(this.CONSUME(this.t.number), (token) => Number(token.image)) },
        { ALT: () => this.literal(this.CONSUME(this.t.text), unquoted) },
        { ALT: () => this.literal(this.CONSUME(this.t.word.true), () => true) },
        { ALT: () => this.literal(this.CONSUME(this.t.word.false), () => false) },
        { ALT: () => this.literal(this.CONSUME(this.t.word.null), () => null) },
        {
          ALT: () => {
            const token = this.CONSUME(this.t.name);
            return { kind: "name", name: token.image, at: place(token) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(this.t.sign.OpenParenthesis);
            const inner = this.SUBRULE(this.expression);
            this.CONSUME(this.t.sign.CloseParenthesis);
            return inner;
          },
        },
        { ALT: () => this.SUBRULE(this.list) },
        { ALT: () => this.SUBRULE(this.map) },
      ]),
  );

  private literal(token: IToken, read: (token: IToken) => number | string | boolean | null): Expression {
    return { kind: "literal", value: this.ACTION(() => read(token)), at: place(token) };
  }

  private readonly list: Rule<Expression> = this.expressionRule("list", (): Expression => {
    const items: Expression[] = [];
    const at = place(this.CONSUME(this.t.sign.OpenBracket));
    this.MANY_SEP({ SEP: this.t.sign.Comma, DEF: () => items.push(this.SUBRULE(this.expression)) });
    this.CONSUME(this.t.sign.CloseBracket);
    return { kind: "list", items, at };
  });

  private readonly map: Rule<Expression> = this.expressionRule("map", (): Expression => {
    const entries: [string, Expression][] = [];
    const at = place(this.CONSUME(this.t.sign.OpenBrace));
    this.MANY_SEP({
      SEP: this.t.sign.Comma,
      DEF: () => {
        const key = unquoted(this.CONSUME(this.t.text));
        this.CONSUME(this.t.sign.Colon);
        const value = this.SUBRULE(this.expression);
        entries.push([key, value]);
      },
    });
    this.CONSUME(this.t.sign.CloseBrace);
    return { kind: "map", entries, at };
  });
}
