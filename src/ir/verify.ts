/**
 * The verifier, run between passes. What it holds every graph to, with the code of the diagnostic:
 *
 * - `IR-VERIFY-INPUT`      inputs are ids of earlier nodes (so the graph is acyclic and in topological order)
 * - `IR-VERIFY-OP`         the op is in the registry
 * - `IR-VERIFY-ARITY`      a node has as many inputs as its op takes
 * - `IR-VERIFY-ATTRIBUTE`  a node has the attributes that its op declares, of the declared kinds, and no others; all JSON
 * - `IR-VERIFY-TYPE`       the type is what the op infers from its inputs and attributes
 * - `IR-VERIFY-SHAPE`      extents are positive integers
 * - `IR-VERIFY-LEVEL`      at tensor level there is no operator-level op and no operator value
 * - `IR-VERIFY-PORT`       port names are not empty and unique; params are f32
 * - `IR-VERIFY-OUTPUT`     outputs are tensors of the graph, with unique names that are not empty
 * - `IR-VERIFY-CONTEXT`    scope, location and `from`, where they stand, are well-formed
 *
 * A graph that fails is a defect of the pass that made it, or of a text that someone wrote.
 */
import type { CodeAfter } from "./codes/index.ts";
import { type Diagnostic, type DiagnosticFields, WebpeftError } from "./diagnostics.ts";
import { type Attributes, type Graph, type Node, portName, portRole } from "./graph.ts";
import type { AttributeKind, OpRecord } from "./op-record.ts";
import { findOp, hasOp, opRecord } from "./registry.ts";
import { type Inferred, inferredBefore, inferredType } from "./shared.ts";
import { sameType, type Type, typeText } from "./types.ts";

export type GraphLevel = "operator" | "tensor";

export const dtypes: readonly string[] = ["f32", "f16", "bf16", "i32", "u32", "bool"];
export const portRoles: readonly string[] = ["input", "weight", "param", "buffer"];

type Report = (code: CodeAfter<"IR-VERIFY">, fields: DiagnosticFields) => void;

/** Throws a `WebpeftError` that carries every violation, the first one in front. */
export function verify(graph: Graph, level: GraphLevel): void {
  const [first, ...also] = violations(graph, level);
  if (first === undefined) return;
  const { code, severity: _error, ...fields } = first;
  throw new WebpeftError(code, fields, { also });
}

/** All violations, in the order of the nodes. */
export function violations(graph: Graph, level: GraphLevel): Diagnostic[] {
  const found: Diagnostic[] = [];
  const portNames = new Set<string>();
  const add = (code: CodeAfter<"IR-VERIFY">, where: string, fields: DiagnosticFields): unknown =>
    found.push({ severity: "error", where, ...fields, code: `IR-VERIFY-${code}` });
  let at = 0;
  const report: Report = (code, fields) => {
    const { op, scope } = graph.nodes[at]!;
    add(code, `${graph.name}: %${at} = ${op}${scope === undefined ? "" : ` in ${scope}`}`, fields);
  };
  for (; at < graph.nodes.length; at++) {
    const node = graph.nodes[at]!;
    const before = found.length;
    const alike = knownNode(graph, node, at, level);
    if (alike?.verified !== true) {
      checkNode(graph, node, at, level, report);
      const known = alike ?? knownNode(graph, node, at, level);
      if (known !== undefined && found.length === before) known.verified = true;
    }
    if (!contextFits(node)) reportContext(node, report);
    if (node.op === "port") checkPort(node, portNames, report);
  }
  checkOutputs(graph, (code, fields) => add(code, graph.name, fields));
  return found;
}

/** What was inferred for nodes like this one, whose type it has; nodes of a model's layers are alike. */
function knownNode({ nodes }: Graph, { op, type, attributes, inputs }: Node, id: number, level: GraphLevel) {
  const record = findOp(op);
  const isOperator = type.kind === "operator" || record?.opClass === "operator";
  if (record === undefined || (level === "tensor" && isOperator)) return undefined;
  for (let i = 0; i < inputs.length; i++) if (!(inputs[i]! < id) || nodes[inputs[i]!] === undefined) return undefined;
  const first = inputs.length === 0 ? undefined : nodes[inputs[0]!]!.type;
  let known = inferredBefore(record, first, attributes);
  while (known !== undefined && !hasInputs(known, nodes, inputs)) known = known.next;
  return known?.type === type ? known : undefined;
}

function hasInputs({ inputs: types }: Inferred, nodes: readonly Node[], inputs: readonly number[]): boolean {
  if (types.length !== inputs.length) return false;
  for (let i = 0; i < inputs.length; i++) if (types[i] !== nodes[inputs[i]!]!.type) return false;
  return true;
}

function checkNode(graph: Graph, node: Node, id: number, level: GraphLevel, report: Report): void {
  checkShape(node.type, report);
  const isStray = (i: number): boolean => !Number.isInteger(i) || i < 0 || i >= id;
  const strays = node.inputs.some(isStray);
  if (strays) {
    const got = node.inputs.filter(isStray).join(", ");
    report("INPUT", { message: "an input is no earlier node", expected: `ids below ${id}`, got });
  }
  if (!hasOp(node.op)) {
    report("OP", { message: `no op is called ${node.op}` });
    return;
  }
  const record = opRecord(node.op);
  if (level === "tensor" && (record.opClass === "operator" || node.type.kind === "operator")) {
    report("LEVEL", { message: "an operator is left at tensor level", got: `${node.op} : ${typeText(node.type)}` });
  }
  const arity = record.arity === "variadic" ? node.inputs.length >= 1 : node.inputs.length === record.arity;
  if (!arity) {
    report("ARITY", {
      message: "another number of inputs",
      expected: String(record.arity),
      got: String(node.inputs.length),
    });
  }
  const fits = attributesFit(record, node.attributes, report);
  if (!strays && arity && fits) checkType(graph, node, record, report);
}

function attributesFit(record: OpRecord, attributes: Attributes, report: Report): boolean {
  const problems = attributeProblems(record, attributes);
  for (const problem of problems) report("ATTRIBUTE", problem);
  return problems.length === 0;
}

function checkType(graph: Graph, node: Node, record: OpRecord, report: Report): void {
  try {
    const types = node.inputs.map((i) => graph.nodes[i]!.type);
    const inferred = inferredType(record, types, node.attributes);
    if (inferred === node.type || sameType(inferred, node.type)) return;
    report("TYPE", {
      message: "the type is not the inferred one",
      expected: typeText(inferred),
      got: typeText(node.type),
    });
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    report("TYPE", {
      message: error.message,
      ...(error.expected === undefined ? {} : { expected: error.expected }),
      ...(error.got === undefined ? {} : { got: error.got }),
    });
  }
}

function checkShape(type: Type, report: Report): void {
  const extents = type.kind === "operator" ? [type.out, type.in] : type.shape;
  if (!extents.every((n) => Number.isSafeInteger(n) && n > 0))
    report("SHAPE", { message: "an extent is no positive integer", got: typeText(type) });
}

function checkPort(node: Node, names: Set<string>, report: Report): void {
  const name = portName(node);
  if (name === "" || names.has(name)) {
    report("PORT", { message: "a port needs a name of its own", got: JSON.stringify(name) });
  }
  names.add(name);
  if (portRole(node) === "param" && node.attributes.dtype !== "f32") {
    report("PORT", { message: "a param is trained in f32", expected: "f32", got: String(node.attributes.dtype) });
  }
}

function checkOutputs(graph: Graph, report: Report): void {
  const names = new Set<string>();
  for (const { name, node } of graph.outputs) {
    if (name === "" || names.has(name))
      report("OUTPUT", { message: "an output needs a name of its own", got: JSON.stringify(name) });
    names.add(name);
    const source = graph.nodes[node];
    if (source === undefined)
      report("OUTPUT", { message: `output ${name} is no node of the graph`, got: String(node) });
    else if (source.type.kind !== "tensor")
      report("OUTPUT", { message: `output ${name} is no tensor`, got: typeText(source.type) });
  }
}

function contextFits({ scope, location, chunk, from = [] }: Node): boolean {
  if (scope !== undefined && typeof scope !== "string") return false;
  if (location !== undefined && (typeof location.file !== "string" || !Number.isSafeInteger(location.line)))
    return false;
  if (chunk !== undefined && typeof chunk !== "string") return false;
  for (let i = 0; i < from.length; i++) if (!Number.isSafeInteger(from[i]) || from[i]! < 0) return false;
  return true;
}

const reportContext = ({ scope, location, chunk, from }: Node, report: Report): void =>
  report("CONTEXT", {
    message: "scope, location, chunk or from is malformed",
    got: JSON.stringify({ scope, location, chunk, from }),
  });

/** What is wrong with the attributes of a node; empty when nothing is. Also used on graphs read from text. */
export function attributeProblems(record: OpRecord, attributes: Attributes): DiagnosticFields[] {
  const declared = record.attributes ?? {};
  const missing = Object.entries(declared).flatMap(([name, kind]) => {
    const value: unknown = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (kindChecks[kind](value)) return [];
    return [
      { message: `the attribute ${name} of ${record.name} is missing or malformed`, expected: kind, got: shown(value) },
    ];
  });
  const unknown = Object.entries(attributes).flatMap(([name, value]) => {
    if (Object.hasOwn(declared, name)) return [];
    if (record.moreAttributes !== true) {
      const known = Object.keys(declared).join(", ") || "no attributes";
      return [{ message: `${record.name} has no attribute ${name}`, expected: known, got: name }];
    }
    return isJson(value) ? [] : [{ message: `the attribute ${name} is not plain JSON`, got: shown(value) }];
  });
  return [...missing, ...unknown];
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 80);

const integersFrom = (least: number) => (value: unknown) =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= least);

const kindChecks: Readonly<Record<AttributeKind, (value: unknown) => boolean>> = {
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === "number" && Number.isFinite(value),
  integers: integersFrom(0),
  shape: integersFrom(1),
  text: (value) => typeof value === "string",
  dtype: (value) => typeof value === "string" && dtypes.includes(value),
  role: (value) => typeof value === "string" && portRoles.includes(value),
};

function isJson(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value !== "object") return false;
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson);
}
