/** Calls of builtins: arguments are matched to the signature, checked and converted before the builtin sees them. */

import { type Builtin, type CallContext, type Kind, type Parameter, signature } from "../lib/builtin.ts";
import { compilePattern } from "../regex/index.ts";
import type { CallExpression, Place } from "./ast.ts";
import { graphValue, madeOf } from "./constants.ts";
import { asOperator, asTensor } from "./operations.ts";
import type { Scope } from "./scope.ts";
import { describe, isWhole, type Known, known, type Value } from "./value.ts";

export interface EvaluatedArgument {
  readonly name?: string;
  readonly value: Value;
  readonly at: Place;
}

/** What is known, where it passes the test; undefined otherwise. */
const knownThat =
  (test: (value: Known) => boolean) =>
  (value: Value): Known | undefined =>
    value.kind === "known" && test(value.value) ? value.value : undefined;

/** By kind of parameter: what messages expect, and the value as a builtin gets it, undefined when it does not fit. */
const kinds: Readonly<
  Record<Kind, { readonly expected: string; readonly take: (value: Value, scope: Scope, at: Place) => unknown }>
> = {
  number: { expected: "a known number", take: knownThat((value) => typeof value === "number") },
  count: { expected: "a known whole number above 0", take: knownThat((value) => isWhole(value, 1)) },
  condition: { expected: "a condition", take: knownThat((value) => typeof value === "boolean") },
  text: { expected: "a text", take: knownThat((value) => typeof value === "string") },
  counts: {
    expected: "a list of known whole numbers",
    take: knownThat((value) => Array.isArray(value) && value.every((n) => isWhole(n))),
  },
  known: { expected: "a known value", take: knownThat(() => true) },
  tensor: {
    expected: "a tensor or number",
    take: (value, scope, at) => asTensor(graphValue(scope, value, at), () => scope.builderOrFail(at)),
  },
  operator: {
    expected: "an operator or a matrix",
    take: (value, scope, at) => asOperator(graphValue(scope, value, at), () => scope.builderOrFail(at)),
  },
  stream: { expected: "a stream", take: (value) => (value.kind === "stream" ? value.generator : undefined) },
  distribution: {
    expected: "a distribution, such as kaiming_uniform",
    take: (value) => (value.kind === "distribution" ? value.distribution : undefined),
  },
  host: {
    expected: "host numbers, such as those of torch_randperm",
    take: (value) => (value.kind === "host" ? value.array : undefined),
  },
  value: { expected: "a value", take: (value) => value },
};

/** A call, and where it stands. */
interface Calling {
  readonly scope: Scope;
  readonly builtin: Builtin;
  readonly call: CallExpression;
}

function fault(
  { scope, builtin, call }: Calling,
  message: string,
  expected?: string,
  got?: string,
  at = call.at,
): Error {
  const help = `${signature(builtin)}: ${builtin.doc}`;
  return scope.error("METHOD-ARGUMENT", at, { message: `${builtin.name}: ${message}`, help, expected, got });
}

function taken(calling: Calling, { name, kind }: Parameter, value: Value, at: Place): unknown {
  const { scope } = calling;
  const made = kinds[kind].take(value, scope, at);
  if (made !== undefined) return made;
  const got = describe(value, scope.build?.builder);
  throw fault(calling, `argument ${name} does not fit.`, kinds[kind].expected, got, at);
}

/** Arguments by parameter: positional ones in order, then named ones, then presets. */
function matched(calling: Calling, given: readonly EvaluatedArgument[]): Record<string, unknown> {
  const values = new Map<string, unknown[]>();
  const { parameters } = calling.builtin;
  const last = parameters.at(-1)?.rest === true ? parameters.at(-1) : undefined;
  for (const [i, { name, value, at }] of given.entries()) {
    const parameter = name === undefined ? (parameters[i] ?? last) : parameters.find((p) => p.name === name);
    const what = name === undefined ? "there are too many arguments" : `there is no parameter ${name}`;
    if (parameter === undefined) throw fault(calling, `${what}.`, signature(calling.builtin), undefined, at);
    const before = values.get(parameter.name) ?? [];
    if (before.length > 0 && parameter.rest !== true)
      throw fault(calling, `argument ${parameter.name} is given twice.`, undefined, undefined, at);
    values.set(parameter.name, [...before, taken(calling, parameter, value, at)]);
  }
  const named = parameters.map(({ name, kind, preset, rest }): [string, unknown] => {
    const own = values.get(name);
    if (own !== undefined) return [name, rest === true ? own : own[0]];
    if (preset !== undefined) return [name, preset];
    throw fault(calling, `argument ${name} is missing.`, kinds[kind].expected);
  });
  return Object.fromEntries(named);
}

/** Random streams of the calls in one turn of a loop; a fragment has fewer calls. */
const streamsOfTurn = 0x10000;

function contextOf(calling: Calling): CallContext {
  const { scope, call } = calling;
  const { situation, notes, firstStream = 0 } = scope.model;
  return {
    builder: () => scope.builderOrFail(call.at),
    tensor: (value) => taken(calling, { name: "x", kind: "tensor" }, value, call.at) as number,
    scalars: () => scope.buildOrFail(call.at).scalars!,
    samples: () => scope.buildOrFail(call.at).samples,
    situation,
    get in() {
      return scope.siteOrFail(call.at).in;
    },
    get out() {
      return scope.siteOrFail(call.at).out;
    },
    site: (scope.site?.index ?? 0) + firstStream,
    ordinal: call.ordinal + scope.turn * streamsOfTurn,
    experts: () => scope.buildOrFail(call.at).experts?.() ?? [],
    table: (name, data, shape) => {
      const port = notes.table(name, data, shape);
      return scope.builderOrFail(call.at).port(port, "buffer", data instanceof Int32Array ? "i32" : "f32", shape);
    },
    setting: (value) => {
      if (situation.padding === undefined) return undefined;
      const port = notes.setting(scope.siteOrFail(), `setting.${call.ordinal}`, value);
      return scope.builderOrFail(call.at).port(port, "input", "f32", []);
    },
    fail: (message, expected, got) => fault(calling, message, expected, got),
  };
}

export function callBuiltin(
  scope: Scope,
  builtin: Builtin,
  call: CallExpression,
  given: readonly EvaluatedArgument[],
): Value {
  const calling = { scope, builtin, call };
  const made = builtin.call(matched(calling, given), contextOf(calling));
  const values = given.map(({ value }) => value);
  return madeOf(scope, made, values);
}

/** Whether a module path is hit by a list of names or, when the entry is one text, by a regular expression for the whole path. */
function pathMatches(path: string, entry: Known | undefined, anchored: boolean): boolean | undefined {
  if (typeof entry === "string") return compilePattern(entry, "the list of modules").fullMatch(path);
  if (!Array.isArray(entry) || !entry.every((name) => typeof name === "string")) return undefined;
  return entry.some((name: string) => (anchored ? path === name || path.endsWith(`.${name}`) : path.endsWith(name)));
}

/** Whether the site is one of the modules that the only entry of `given` names. Throws METHOD-ARGUMENT. */
export function siteMatches(scope: Scope, name: string, given: readonly Known[], at: Place): Value {
  const [entry, ...more] = given;
  const { path } = scope.siteOrFail(at);
  const answer = more.length > 0 ? undefined : pathMatches(path, entry, name === "site.matches");
  if (answer !== undefined) return known(answer);
  throw scope.error("METHOD-ARGUMENT", at, {
    message: `${name} wants the modules to look for.`,
    expected: "a list of names, or a text with a regular expression",
    got: entry === undefined || more.length > 0 ? `${given.length} arguments` : describe(known(entry)),
  });
}
