/** The grammar of `print.ts` as a chevrotain parser with recovery, so that one run finds all errors. */
import {
  EmbeddedActionsParser,
  type IParserErrorMessageProvider,
  type IToken,
  type TokenType,
  tokenLabel,
} from "chevrotain";
import type { Attribute } from "../graph.ts";
import * as t from "./lexer.ts";
import type {
  AttributeSyntax,
  GraphSyntax,
  OutputSyntax,
  ParameterSyntax,
  Spelled,
  StatementSyntax,
  TypeSyntax,
} from "./syntax.ts";

/** Messages are the bare list of what was expected; the caller has the place and the rule. */
const expectedOnly: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected }) => tokenLabel(expected),
  buildNotAllInputParsedMessage: () => "the end of the text",
  buildNoViableAltMessage: ({ expectedPathsPerAlt }) =>
    labels(expectedPathsPerAlt.flatMap((alternative) => alternative.map((path) => path[0]))),
  buildEarlyExitMessage: ({ expectedIterationPaths }) => labels(expectedIterationPaths.map((path) => path[0])),
};

function labels(types: readonly (TokenType | undefined)[]): string {
  return [...new Set(types.flatMap((type) => (type === undefined ? [] : [tokenLabel(type)])))].join(" or ");
}

function spelled(token: IToken, text = token.image): Spelled {
  return { text, line: token.startLine ?? 1, column: token.startColumn ?? 1 };
}

export class GraphParser extends EmbeddedActionsParser {
  constructor() {
    super([...t.tokens], { recoveryEnabled: true, errorMessageProvider: expectedOnly });
    this.performSelfAnalysis();
  }

  readonly graph = this.RULE("graph", (): GraphSyntax => {
    const parameters: ParameterSyntax[] = [];
    const statements: StatementSyntax[] = [];
    this.CONSUME(t.Func);
    this.CONSUME(t.At);
    const name = this.SUBRULE(this.name);
    this.CONSUME(t.LeftParenthesis);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => parameters.push(this.SUBRULE(this.parameter)) });
    this.CONSUME(t.RightParenthesis);
    this.CONSUME(t.LeftBrace);
    this.MANY(() => statements.push(this.SUBRULE(this.statement)));
    const outputs = this.SUBRULE(this.outputs);
    this.CONSUME(t.RightBrace);
    return { name: name?.text ?? "", parameters, statements, outputs };
  });

  private readonly parameter = this.RULE("parameter", (): ParameterSyntax => {
    const value = this.SUBRULE(this.value);
    this.CONSUME(t.Colon);
    const type = this.SUBRULE(this.type);
    const role = spelled(this.CONSUME(t.Word));
    const name = this.OPTION1(() => this.SUBRULE(this.string));
    const attributes = this.OPTION2(() => this.SUBRULE(this.attributes)) ?? [];
    const endLine = this.LA(0).endLine ?? 1;
    return { kind: "parameter", value, type, role, ...(name === undefined ? {} : { name }), attributes, endLine };
  });

  private readonly statement = this.RULE("statement", (): StatementSyntax => {
    const operands: Spelled[] = [];
    const value = this.SUBRULE1(this.value);
    this.CONSUME(t.Equals);
    const op = spelled(this.CONSUME(t.Word));
    this.MANY_SEP({ SEP: t.Comma, DEF: () => operands.push(this.SUBRULE2(this.value)) });
    const attributes = this.OPTION(() => this.SUBRULE(this.attributes)) ?? [];
    this.CONSUME(t.Colon);
    const type = this.SUBRULE(this.type);
    return { kind: "statement", value, op, operands, attributes, type, endLine: this.LA(0).endLine ?? 1 };
  });

  private readonly outputs = this.RULE("return", (): OutputSyntax[] => {
    const outputs: OutputSyntax[] = [];
    this.CONSUME(t.Return);
    this.MANY_SEP({
      SEP: t.Comma,
      DEF: () => {
        const name = this.SUBRULE(this.name);
        this.CONSUME(t.Equals);
        outputs.push({ name, value: this.SUBRULE(this.value) });
      },
    });
    return outputs;
  });

  private readonly value = this.RULE("value", (): Spelled => {
    const token = this.CONSUME(t.Value);
    return spelled(token, token.image.slice(1));
  });

  private readonly type = this.RULE("type", (): TypeSyntax => {
    const extents: number[] = [];
    const head = spelled(this.CONSUME(t.Word));
    this.CONSUME(t.LeftBracket);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => extents.push(Number(this.CONSUME(t.NumberToken).image)) });
    this.CONSUME(t.RightBracket);
    return { head: head.text, extents, line: head.line, column: head.column };
  });

  private readonly name = this.RULE(
    "name",
    (): Spelled => this.OR([{ ALT: () => spelled(this.CONSUME(t.Word)) }, { ALT: () => this.SUBRULE(this.string) }]),
  );

  private readonly string = this.RULE("string", (): Spelled => {
    const token = this.CONSUME(t.StringToken);
    return this.ACTION(() => spelled(token, JSON.parse(token.image) as string));
  });

  private readonly attributes = this.RULE("attributes", (): AttributeSyntax[] => {
    const attributes: AttributeSyntax[] = [];
    this.CONSUME(t.LeftBrace);
    this.MANY_SEP({
      SEP: t.Comma,
      DEF: () => {
        const name = this.SUBRULE(this.name);
        this.CONSUME(t.Colon);
        attributes.push({ name, value: this.SUBRULE(this.json) });
      },
    });
    this.CONSUME(t.RightBrace);
    return attributes;
  });

  private readonly json = this.RULE(
    "json",
    (): Attribute =>
      this.OR<Attribute>([
        { ALT: () => this.SUBRULE(this.string).text },
        { ALT: () => Number(this.CONSUME(t.NumberToken).image) },
        { ALT: () => this.consumed(t.True, true) },
        { ALT: () => this.consumed(t.False, false) },
        { ALT: () => this.consumed(t.Null, null) },
        { ALT: () => this.SUBRULE(this.list) },
        { ALT: () => this.object(this.SUBRULE(this.attributes)) },
      ]),
  );

  private readonly list = this.RULE("list", (): Attribute => {
    const entries: Attribute[] = [];
    this.CONSUME(t.LeftBracket);
    this.MANY_SEP({ SEP: t.Comma, DEF: () => entries.push(this.SUBRULE(this.json)) });
    this.CONSUME(t.RightBracket);
    return entries;
  });

  private consumed(type: TokenType, value: Attribute): Attribute {
    this.consume(0, type);
    return value;
  }

  private object(attributes: readonly AttributeSyntax[]): Attribute {
    return this.ACTION(() => Object.fromEntries(attributes.map(({ name, value }) => [name.text, value])));
  }
}
