/** From syntax to graph: numbers, names, ops, attributes and types. Every check adds to one list of diagnostics. */

import type { IToken } from "chevrotain";
import { type Diagnostic, WebpeftError } from "../diagnostics.ts";
import type { Attributes, Graph, Node, Output } from "../graph.ts";
import { hasOp, opRecord, opRecords } from "../registry.ts";
import { type DType, operatorType, sameType, type Type, tensor, typeText } from "../types.ts";
import { attributeProblems, dtypes, portRoles } from "../verify.ts";
import { type Notes, readNotes } from "./notes.ts";
import { numberValues } from "./numbering.ts";
import { standardPortAttributes } from "./print.ts";
import type {
  AttributeSyntax,
  GraphSyntax,
  ParameterSyntax,
  Place,
  Report,
  Spelled,
  StatementSyntax,
  TypeSyntax,
} from "./syntax.ts";

export interface ResolvedText {
  readonly graph: Graph;
  readonly diagnostics: readonly Diagnostic[];
}

export function resolve(
  syntax: GraphSyntax,
  comments: readonly IToken[],
  where: (place: Place) => string,
): ResolvedText {
  const diagnostics: Diagnostic[] = [];
  const report: Report = (code, place, fields) =>
    diagnostics.push({ code: `IR-TEXT-${code}`, severity: "error", where: where(place), ...fields });
  const ids = numberValues(syntax, report);
  // Without sound numbers every further message would be about the wrong value.
  if (diagnostics.length > 0) return { graph: { name: syntax.name, nodes: [], outputs: [] }, diagnostics };
  const notes = readNotes(syntax, comments, report);
  return { graph: new Resolver(syntax, ids, notes, report).graph(), diagnostics };
}

class Resolver {
  private readonly nodes: Node[] = [];

  constructor(
    private readonly syntax: GraphSyntax,
    private readonly ids: ReadonlyMap<string, number>,
    private readonly notes: Notes,
    private readonly report: Report,
  ) {}

  graph(): Graph {
    const values = [...this.syntax.parameters, ...this.syntax.statements];
    const inOrder = values.sort((a, b) => this.ids.get(a.value.text)! - this.ids.get(b.value.text)!);
    const names = new Set<string>();
    for (const value of inOrder) {
      this.nodes.push(value.kind === "parameter" ? this.port(value, names) : this.statement(value));
    }
    return { name: this.syntax.name, nodes: this.nodes, outputs: this.outputs() };
  }

  private port(parameter: ParameterSyntax, names: Set<string>): Node {
    const { value, role } = parameter;
    const type = this.type(parameter.type);
    const name = parameter.name?.text ?? value.text;
    if (parameter.name === undefined && /^\d/.test(value.text)) {
      this.report("PORT", value, {
        message: "a parameter with a number needs its name as a string",
        got: `%${value.text}`,
      });
    }
    if (names.has(name))
      this.report("PORT", value, { message: "two parameters have one name", got: JSON.stringify(name) });
    names.add(name);
    if (!portRoles.includes(role.text)) {
      this.report("PORT", role, {
        message: "this is no role of a port",
        expected: portRoles.join(", "),
        got: role.text,
      });
    }
    if (type.kind === "operator") {
      this.report("TYPE", parameter.type, { message: "a parameter is a tensor", got: typeText(type) });
    }
    for (const { name: key } of parameter.attributes) {
      if (!standardPortAttributes.includes(key.text)) continue;
      this.report("ATTRIBUTE", key, { message: "a parameter states this in its head", got: key.text });
    }
    const own: Attributes = type.kind === "tensor" ? { dtype: type.dtype, shape: type.shape } : {};
    const attributes = { name, role: role.text, ...own, ...this.attributes(parameter.attributes) };
    return { op: "port", inputs: [], attributes, type, ...this.notes.get(parameter) };
  }

  private statement(statement: StatementSyntax): Node {
    const id = this.nodes.length;
    const type = this.type(statement.type);
    const inputs = statement.operands.map((operand) => this.reference(operand, id));
    const attributes = this.attributes(statement.attributes);
    const node = { op: statement.op.text, inputs, attributes, type, ...this.notes.get(statement) };
    if (this.checkOp(statement, attributes) && inputs.every((i) => i < id)) this.checkType(statement, node);
    return node;
  }

  /** The id of a value; one that is not there is reported and answered with an id that no check follows. */
  private reference(value: Spelled, before: number): number {
    const id = this.ids.get(value.text);
    if (id === undefined) {
      this.report("VALUE", value, { message: "no value is called so", got: `%${value.text}` });
      return Number.POSITIVE_INFINITY;
    }
    if (id >= before)
      this.report("VALUE", value, { message: "the value is used before it is made", got: `%${value.text}` });
    return id;
  }

  private checkOp({ op, operands }: StatementSyntax, attributes: Attributes): boolean {
    if (!hasOp(op.text)) {
      const near = nearest(
        op.text,
        opRecords().map((record) => record.name),
      );
      this.report("OP", op, { message: "no op is called so", got: op.text, help: `the nearest is ${near}` });
      return false;
    }
    const record = opRecord(op.text);
    const problems = attributeProblems(record, attributes);
    for (const problem of problems) this.report("ATTRIBUTE", op, problem);
    const arity = record.arity === "variadic" ? operands.length >= 1 : operands.length === record.arity;
    if (!arity) {
      const expected = record.arity === "variadic" ? "one or more" : String(record.arity);
      this.report("TYPE", op, {
        message: `${op.text} has another number of inputs`,
        expected,
        got: String(operands.length),
      });
    }
    return arity && problems.length === 0;
  }

  private checkType(statement: StatementSyntax, node: Node): void {
    try {
      const inferred = opRecord(node.op).infer(
        node.inputs.map((i) => this.nodes[i]!.type),
        node.attributes,
      );
      if (sameType(inferred, node.type)) return;
      const [expected, got] = [typeText(inferred), typeText(node.type)];
      this.report("TYPE", statement.type, { message: `${node.op} makes another type`, expected, got });
    } catch (error) {
      if (!(error instanceof WebpeftError)) throw error;
      const { code: _code, severity: _error, where: _where, ...fields } = error.diagnostics[0]!;
      this.report("TYPE", statement.op, fields);
    }
  }

  private type({ head, extents, line, column }: TypeSyntax): Type {
    const known = head === "op" || dtypes.includes(head);
    const sizes = extents.every((n) => Number.isSafeInteger(n) && n > 0) && (head !== "op" || extents.length === 2);
    if (!known || !sizes) {
      const expected = known ? (head === "op" ? "op[out,in]" : "positive integers") : `op, ${dtypes.join(", ")}`;
      this.report(
        "TYPE",
        { line, column },
        { message: "this is no type", expected, got: `${head}[${extents.join(",")}]` },
      );
    }
    return head === "op" ? operatorType(extents[0] ?? 0, extents[1] ?? 0) : tensor(head as DType, extents);
  }

  private attributes(syntax: readonly AttributeSyntax[]): Attributes {
    const names = new Set<string>();
    for (const { name } of syntax) {
      if (names.has(name.text))
        this.report("ATTRIBUTE", name, { message: "the attribute stands there twice", got: name.text });
      names.add(name.text);
    }
    return Object.fromEntries(syntax.map(({ name, value }) => [name.text, value]));
  }

  private outputs(): Output[] {
    const names = new Set<string>();
    return this.syntax.outputs.map(({ name, value }) => {
      if (names.has(name.text)) this.report("VALUE", name, { message: "two outputs have one name", got: name.text });
      names.add(name.text);
      return { name: name.text, node: this.reference(value, this.nodes.length) };
    });
  }
}

/** The known word with the fewest edits from `word`. */
function nearest(word: string, known: readonly string[]): string {
  const distances = known.map((other) => editDistance(word, other));
  return known[distances.indexOf(Math.min(...distances))]!;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_unused, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
