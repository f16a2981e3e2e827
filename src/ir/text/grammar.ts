/** The grammar of `print.ts`, a function for every part of it. A fault leaves one parameter or statement, so that one run finds all of them. */
import type { Attribute } from "../graph.ts";
import type { Reader } from "./reader.ts";
import type {
  AttributeSyntax,
  GraphSyntax,
  OutputSyntax,
  ParameterSyntax,
  Spelled,
  StatementSyntax,
  TypeSyntax,
} from "./syntax.ts";
import type { Token } from "./tokens.ts";

/** Lists and objects in one another. */
const deepest = 100;

const spelled = ({ line, column, image }: Token, text = image): Spelled => ({ text, line, column });

/** What a text has as a graph; faults are those of the reader, and parts that have some are left out. */
export function readGraph(r: Reader): GraphSyntax {
  const mayBegin = (): boolean => r.sees("return") || (r.is("value") && r.after.image === "=");
  const head = r.recovering(() => readHead(r, mayBegin), mayBegin);
  const statements: StatementSyntax[] = [];
  let outputs: OutputSyntax[] | undefined;
  do {
    while (r.is("value")) {
      const statement = r.recovering(() => r.as("statement", () => readStatement(r)), mayBegin);
      if (statement !== undefined) statements.push(statement);
    }
    outputs = r.recovering(() => r.as("return", () => readOutputs(r)), mayBegin);
  } while (outputs === undefined && !r.is("end"));
  r.recovering(
    () => r.of("end"),
    () => false,
  );
  return { name: head?.name ?? "", parameters: head?.parameters ?? [], statements, outputs: outputs ?? [] };
}

/** `mayBegin`: whether a statement may begin at the next token. */
function readHead(r: Reader, mayBegin: () => boolean): Pick<GraphSyntax, "name" | "parameters"> {
  const isBetween = (): boolean => r.sees(")") || (r.sees(",") && r.after.kind === "value") || mayBegin();
  r.expect("func");
  r.expect("@");
  const name = readName(r).text;
  const read = () => r.recovering(() => r.as("parameter", () => readParameter(r)), isBetween);
  const parameters = r.listIn("(", ")", read).filter((parameter) => parameter !== undefined);
  r.expect("{");
  return { name, parameters };
}

function readParameter(r: Reader): ParameterSyntax {
  const value = readValue(r);
  r.expect(":");
  const type = readType(r);
  const role = spelled(r.of("word"));
  const name = r.is("string") ? readName(r) : undefined;
  const attributes = r.sees("{") ? readAttributes(r) : [];
  const { endLine } = r;
  return { kind: "parameter", value, type, role, ...(name === undefined ? {} : { name }), attributes, endLine };
}

function readStatement(r: Reader): StatementSyntax {
  const value = readValue(r);
  r.expect("=");
  const op = spelled(r.of("word"));
  const operands = r.is("value") ? r.several(() => readValue(r)) : [];
  const attributes = r.sees("{") ? readAttributes(r) : [];
  r.expect(":");
  const type = readType(r);
  return { kind: "statement", value, op, operands, attributes, type, endLine: r.endLine };
}

/** With the brace that closes the function. */
function readOutputs(r: Reader): OutputSyntax[] {
  r.expect("return");
  const read = (): OutputSyntax => {
    const name = readName(r);
    r.expect("=");
    return { name, value: readValue(r) };
  };
  const outputs = r.is("word", "string") ? r.several(read) : [];
  r.expect("}");
  return outputs;
}

function readValue(r: Reader): Spelled {
  const token = r.of("value");
  return spelled(token, token.image.slice("%".length));
}

function readType(r: Reader): TypeSyntax {
  return r.as("type", () => {
    const { text, line, column } = spelled(r.of("word"));
    const extents = r.listIn("[", "]", () => Number(r.of("number").image));
    return { head: text, extents, line, column };
  });
}

/** A word or a string. */
function readName(r: Reader): Spelled {
  const token = r.of("word", "string");
  return token.kind === "word" ? spelled(token) : spelled(token, JSON.parse(token.image) as string);
}

function readAttributes(r: Reader, depth = 0): AttributeSyntax[] {
  return r.as("list of attributes", () =>
    r.listIn("{", "}", () => {
      const name = readName(r);
      r.expect(":");
      return { name, value: readAttribute(r, depth + 1) };
    }),
  );
}

function readAttribute(r: Reader, depth: number): Attribute {
  if (depth > deepest) r.fail(`at most ${deepest} lists in one another`);
  if (r.sees("[")) return r.listIn("[", "]", () => readAttribute(r, depth + 1));
  if (r.sees("{")) return Object.fromEntries(readAttributes(r, depth).map(({ name, value }) => [name.text, value]));
  const isConstant = r.is("string", "number") || ["true", "false", "null"].some((word) => r.sees(word));
  return isConstant
    ? (JSON.parse(r.take().image) as Attribute)
    : r.fail('a string, a number, true, false, null, "[" or "{"');
}
