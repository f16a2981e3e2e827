/**
 * Prints a graph as SSA text. `parseGraph(printGraph(graph))` is the same graph, but for `from`.
 *
 * ```
 * func @main(%x: f32[4,12] input, %1: f32[2,12] param "layers.0.lora_A.weight") {
 *   %2 = op.dense %1 : op[2,12]  // layers.0 lora.ts:6
 *   %3 = op.apply %2, %x : f32[4,2]
 *   return y = %3
 * }
 * ```
 *
 * Grammar (blanks and line ends separate tokens and mean nothing else, but for notes):
 *
 * ```
 * graph      = "func" "@" name "(" [ parameter { "," parameter } ] ")" "{" { statement } return "}"
 * parameter  = value ":" type role [ string ] [ attributes ]
 * statement  = number "=" op [ value { "," value } ] [ attributes ] ":" type
 * return     = "return" [ name "=" value { "," name "=" value } ]
 * value      = "%" digits | "%" identifier           number = "%" digits
 * type       = dtype "[" [ integer { "," integer } ] "]" | "op" "[" integer "," integer "]"
 * attributes = "{" [ name ":" json { "," name ":" json } ] "}"
 * json       = string | number | "true" | "false" | "null" | "[" [ json { "," json } ] "]" | attributes
 * name       = word | string            word = identifier { "." letters, digits or "_" }, no keyword
 * role       = "input" | "weight" | "param" | "buffer"
 * note       = "//" [ scope ] [ file ":" line ] [ "[" chunk "]" ]    scope, file = string | characters but blanks, quotes and ":"
 * ```
 *
 * - Parameters are the graph's ports. `%x` is the port called "x"; a port whose name is no identifier has its number and
 *   its name as a string.
 * - Statements are numbered by their place in the graph, in increasing order. Parameters that are called by name have the
 *   places that are left, in order. When the statements are numbered from 0 without a gap and all parameters are called
 *   by name, the parameters come before the statements and the numbers shift.
 * - Every value states its type, which must be the inferred one.
 * - A comment behind a parameter or a statement is its note: scope, source location and chunk. Other comments mean nothing.
 * - Printed text is canonical: attributes sorted by name, one way to write everything. Equal text is an equal graph.
 */
import { type Attribute, type Attributes, type Graph, type Node, portName, portRole } from "../graph.ts";
import { opRecord } from "../registry.ts";
import { sameType, type TensorType, tensor, typeText } from "../types.ts";
import { attributeProblems } from "../verify.ts";

const keywords: readonly string[] = ["func", "return", "true", "false", "null"];

const lineWidth = 120;
/** The attributes of a port that a parameter states in its head. */
export const standardPortAttributes: readonly string[] = ["name", "role", "dtype", "shape"];

/** The canonical text, ending with a line end. With `only`, an excerpt: the nodes that it names, and outputs among them. */
export function printGraph(graph: Graph, only: (id: number) => boolean = () => true): string {
  const handles = handlesOf(graph);
  const parameters: string[] = [];
  const parameterNotes: string[] = [];
  const statements: string[] = [];
  graph.nodes.forEach((node, id) => {
    if (!only(id)) return;
    if (isParameter(node)) {
      parameters.push(parameterText(node, handles[id]!));
      parameterNotes.push(noteText(node));
    } else {
      statements.push(`  ${statementText(node, id, handles)}${noteText(node)}\n`);
    }
  });
  const head = `func @${nameText(graph.name)}(`;
  const list = parameterList(head, parameters, parameterNotes);
  const outputs = graph.outputs.filter(({ node }) => only(node));
  return `${head}${list}) {\n${statements.join("")}${returnText({ outputs }, handles)}}\n`;
}

/** Whether the port can stand as a parameter: it states what a parameter states, and nothing in it is malformed. */
function isParameter(node: Node): boolean {
  if (node.op !== "port" || node.inputs.length > 0 || attributeProblems(opRecord("port"), node.attributes).length > 0) {
    return false;
  }
  const { dtype, shape } = node.attributes as unknown as TensorType;
  return sameType(node.type, tensor(dtype, shape));
}

/** How every value is called, without the percent sign. */
function handlesOf(graph: Graph): string[] {
  const uses = new Map<string, number>();
  for (const node of graph.nodes) if (isParameter(node)) uses.set(portName(node), (uses.get(portName(node)) ?? 0) + 1);
  const firstParameter = graph.nodes.findIndex(isParameter);
  const statementsFirst = firstParameter > 0 && graph.nodes.slice(firstParameter).every(isParameter);
  return graph.nodes.map((node, id) => {
    if (statementsFirst || !isParameter(node)) return String(id);
    const name = portName(node);
    return /^[A-Za-z_]\w*$/.test(name) && uses.get(name) === 1 ? name : String(id);
  });
}

function parameterText(node: Node, handle: string): string {
  const name = portName(node);
  const more = Object.entries(node.attributes).filter(([key]) => !standardPortAttributes.includes(key));
  const string = handle === name ? "" : ` ${JSON.stringify(name)}`;
  return `%${handle}: ${typeText(node.type)} ${portRole(node)}${string}${attributesText(Object.fromEntries(more))}`;
}

function parameterList(head: string, parameters: readonly string[], notes: readonly string[]): string {
  const line = parameters.join(", ");
  if (notes.every((note) => note === "") && head.length + line.length + ") {".length <= lineWidth) return line;
  const last = parameters.length - 1;
  return `\n${parameters.map((text, i) => `  ${text}${i === last ? "" : ","}${notes[i]!}\n`).join("")}`;
}

function statementText(node: Node, id: number, handles: readonly string[]): string {
  const inputs = node.inputs.map((i) => `%${handles[i] ?? i}`).join(", ");
  const operands = inputs === "" ? "" : ` ${inputs}`;
  return `%${id} = ${node.op}${operands}${attributesText(node.attributes)} : ${typeText(node.type)}`;
}

function returnText(graph: Pick<Graph, "outputs">, handles: readonly string[]): string {
  const outputs = graph.outputs.map(({ name, node }) => `${nameText(name)} = %${handles[node] ?? node}`);
  const line = ["  return", outputs.join(", ")].filter((part) => part !== "").join(" ");
  return line.length <= lineWidth ? `${line}\n` : `  return\n    ${outputs.join(",\n    ")}\n`;
}

/** A word as it is, anything else as a string. */
function nameText(name: string): string {
  return /^[A-Za-z_]\w*(\.\w+)*$/.test(name) && !keywords.includes(name) ? name : JSON.stringify(name);
}

function attributesText(attributes: Attributes): string {
  return Object.keys(attributes).length === 0 ? "" : ` ${jsonText(attributes)}`;
}

function jsonText(value: Attribute): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(", ")}]`;
  const entries = Object.entries(value as Attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${nameText(key)}: ${jsonText(entry)}`).join(", ")}}`;
}

/** The part behind a line: scope, location and chunk, or nothing. */
function noteText({ scope, location, chunk }: Node): string {
  const bare = (text: string): string => (/^[^\s":[][^\s":]*$/.test(text) ? text : JSON.stringify(text));
  const parts = [
    scope === undefined ? "" : bare(scope),
    location === undefined ? "" : `${bare(location.file)}:${location.line}`,
    chunk === undefined ? "" : `[${chunk}]`,
  ];
  const note = parts.filter((part) => part !== "").join(" ");
  return note === "" ? "" : `  // ${note}`;
}
