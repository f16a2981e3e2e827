/** Calls of builtins: arguments are matched to the signature, checked and converted before the builtin sees them. */

import { type Arguments, type Builtin, type CallContext, type Parameter, signature } from "../lib/builtin.ts";
import { compilePattern } from "../regex/index.ts";
import { asOperator } from "./arithmetic.ts";
import type { CallExpression, Place } from "./ast.ts";
import { madeOf } from "./constants.ts";
import type { Scope } from "./scope.ts";
import { type Distribution, describe, type HostArray, type Known, known, type Value } from "./value.ts";

export interface EvaluatedArgument {
  readonly name?: string;
  readonly value: Value;
  readonly at: Place;
}

const expectations: Readonly<Record<Parameter["kind"], string>> = {
  number: "a known number",
  count: "a known whole number above 0",
  condition: "a condition",
  text: "a text",
  counts: "a list of known whole numbers",
  known: "a known value",
  tensor: "a tensor or number",
  operator: "an operator or a matrix",
  stream: "a stream",
  distribution: "a distribution, such as kaiming_uniform",
  host: "host numbers, such as those of torch_randperm",
};

const isCount = (value: Known): value is number => typeof value === "number" && Number.isSafeInteger(value);

/** Whether a known value is what the parameter wants. */
function fits(kind: Parameter["kind"], value: Known): boolean {
  switch (kind) {
    case "number":
      return typeof value === "number";
    case "count":
      return isCount(value) && value > 0;
    case "condition":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string";
    case "counts":
      return Array.isArray(value) && value.every((n) => isCount(n) && n >= 0);
    default:
      return kind === "known";
  }
}

/** The value as the parameter wants it: a known value, a node id, a stream or host numbers; undefined when it does not fit. */
function converted(scope: Scope, kind: Parameter["kind"], value: Value, at: Place): unknown {
  const builder = () => scope.builderOrFail(at);
  switch (kind) {
    case "tensor":
      if (value.kind === "tensor") return value.id;
      return value.kind === "known" && typeof value.value === "number" ? builder().constant(value.value) : undefined;
    case "operator":
      return asOperator(value, builder);
    case "stream":
      return value.kind === "stream" ? value.generator : undefined;
    case "distribution":
      return value.kind === "distribution" ? value.distribution : undefined;
    case "host":
      return value.kind === "host" ? value.array : undefined;
    default:
      return value.kind === "known" && fits(kind, value.value) ? value : undefined;
  }
}

class CheckedArguments implements Arguments {
  constructor(private readonly values: ReadonlyMap<string, readonly unknown[]>) {}

  private one(name: string): unknown {
    return this.values.get(name)?.[0];
  }
  known(name: string): Known {
    return (this.one(name) as { value: Known }).value;
  }
  number(name: string): number {
    return this.known(name) as number;
  }
  condition(name: string): boolean {
    return this.known(name) as boolean;
  }
  text(name: string): string {
    return this.known(name) as string;
  }
  counts(name: string): readonly number[] {
    return this.known(name) as readonly number[];
  }
  numbers(name: string): readonly number[] {
    return (this.values.get(name) as { value: number }[]).map(({ value }) => value);
  }
  node(name: string): number {
    return this.one(name) as number;
  }
  nodes(name: string): readonly number[] {
    return this.values.get(name) as number[];
  }
  stream(name: string): ReturnType<Arguments["stream"]> {
    return this.one(name) as ReturnType<Arguments["stream"]>;
  }
  distribution(name: string): Distribution {
    return this.one(name) as Distribution;
  }
  host(name: string): HostArray {
    return this.one(name) as HostArray;
  }
}

function argumentError(
  scope: Scope,
  builtin: Builtin,
  at: Place,
  message: string,
  expected?: string,
  got?: string,
): Error {
  return scope.error("METHOD-ARGUMENT", at, {
    message: `${builtin.name}: ${message}`,
    help: `${signature(builtin)}: ${builtin.doc}`,
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
  });
}

/** Arguments by parameter: positional ones in order, then named ones, then defaults. */
function matched(
  scope: Scope,
  builtin: Builtin,
  call: CallExpression,
  given: readonly EvaluatedArgument[],
): Map<string, unknown[]> {
  const values = new Map<string, unknown[]>();
  const { parameters } = builtin;
  given.forEach((argument, i) => {
    const byPosition = parameters[i] ?? (parameters.at(-1)?.rest === true ? parameters.at(-1) : undefined);
    const parameter = argument.name === undefined ? byPosition : parameters.find((p) => p.name === argument.name);
    if (parameter === undefined) {
      const what =
        argument.name === undefined ? "there are too many arguments" : `there is no parameter ${argument.name}`;
      throw argumentError(scope, builtin, argument.at, `${what}.`, signature(builtin));
    }
    const before = values.get(parameter.name) ?? [];
    if (before.length > 0 && parameter.rest !== true) {
      throw argumentError(scope, builtin, argument.at, `argument ${parameter.name} is given twice.`);
    }
    const value = converted(scope, parameter.kind, argument.value, argument.at);
    if (value === undefined) {
      const got = describe(argument.value, scope.build?.builder);
      throw argumentError(
        scope,
        builtin,
        argument.at,
        `argument ${parameter.name} does not fit.`,
        expectations[parameter.kind],
        got,
      );
    }
    values.set(parameter.name, [...before, value]);
  });
  for (const parameter of parameters) {
    if (values.has(parameter.name)) continue;
    if (parameter.default === undefined) {
      throw argumentError(
        scope,
        builtin,
        call.at,
        `argument ${parameter.name} is missing.`,
        expectations[parameter.kind],
      );
    }
    values.set(parameter.name, [{ value: parameter.default }]);
  }
  return values;
}

/** Random streams of the calls in one turn of a loop; a fragment has fewer calls. */
const streamsOfTurn = 0x10000;

function contextOf(scope: Scope, builtin: Builtin, call: CallExpression): CallContext {
  return {
    builder: () => scope.builderOrFail(call.at),
    scalars: () => scope.buildOrFail(call.at).scalars,
    samples: () => scope.buildOrFail(call.at).samples,
    situation: scope.model.situation,
    get in() {
      return scope.siteOrFail(call.at).in;
    },
    get out() {
      return scope.siteOrFail(call.at).out;
    },
    path: scope.site?.path ?? "",
    site: (scope.site?.index ?? 0) + (scope.model.firstStream ?? 0),
    ordinal: call.ordinal + scope.turn * streamsOfTurn,
    experts: () => scope.buildOrFail(call.at).experts?.() ?? [],
    bfloat16: scope.model.base.bfloat16,
    table: (name, data, shape) => {
      const port = scope.model.notes.table(name, data, shape);
      return scope.builderOrFail(call.at).port(port, "buffer", data instanceof Int32Array ? "i32" : "f32", shape);
    },
    setting: (value) => {
      const { situation, notes } = scope.model;
      if (situation.padding === undefined) return undefined;
      const port = notes.setting(scope.siteOrFail(), `setting.${call.ordinal}`, value);
      return scope.builderOrFail(call.at).port(port, "input", "f32", []);
    },
    fail: (message, expected, got) => argumentError(scope, builtin, call.at, message, expected, got),
  };
}

export function callBuiltin(
  scope: Scope,
  builtin: Builtin,
  call: CallExpression,
  given: readonly EvaluatedArgument[],
): Value {
  const values = matched(scope, builtin, call, given);
  const made = builtin.call(contextOf(scope, builtin, call), new CheckedArguments(values));
  return madeOf(
    scope,
    made,
    given.map(({ value }) => value),
  );
}

/** Whether a module path is hit by a list of names or, when the entry is one text, by a regular expression for the whole path. */
function pathMatches(path: string, entry: Known, anchored: boolean): boolean | undefined {
  if (typeof entry === "string") return compilePattern(entry, "the list of modules").fullMatch(path);
  if (!Array.isArray(entry) || !entry.every((name) => typeof name === "string")) return undefined;
  return entry.some((name: string) => (anchored ? path === name || path.endsWith(`.${name}`) : path.endsWith(name)));
}

/** Whether the site is one of the modules that the only entry of `given` names. Throws METHOD-ARGUMENT. */
export function siteMatches(scope: Scope, name: string, given: readonly Known[], at: Place): Value {
  const [entry] = given;
  const answer =
    entry === undefined || given.length > 1
      ? undefined
      : pathMatches(scope.siteOrFail(at).path, entry, name === "site.matches");
  if (answer !== undefined) return known(answer);
  throw scope.error("METHOD-ARGUMENT", at, {
    message: `${name} wants the modules to look for.`,
    expected: "a list of names, or a text with a regular expression",
    got: entry === undefined || given.length > 1 ? `${given.length} arguments` : describe(known(entry)),
  });
}
