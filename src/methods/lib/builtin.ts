/**
 * What a builtin of the method language is: a name, what it takes, a sentence, and a function that builds graph nodes or computes a known
 * value. Arguments are checked and converted before the call, so that it gets numbers and node ids. Builtins never see the text of a method.
 */

import type { Builder } from "../../ir/builder.ts";
import {
  type Distribution,
  type HostArray,
  type Known,
  known,
  operatorValue,
  tensorValue,
  type Value,
} from "../dsl/value.ts";
import type { TorchGenerator } from "../random/torch.ts";
import type { Situation } from "../situation.ts";

/** What the function of a builtin gets for an argument of a kind. */
interface Taken {
  readonly number: number;
  /** A whole number above 0. */
  readonly count: number;
  readonly condition: boolean;
  readonly text: string;
  readonly counts: readonly number[];
  readonly known: Known;
  /** Node of a tensor; numbers, lists, constants and operators become one. */
  readonly tensor: number;
  readonly operator: number;
  readonly stream: TorchGenerator;
  readonly distribution: Distribution;
  readonly host: HostArray;
  /** Anything, as it is. */
  readonly value: Value;
}

export type Kind = keyof Taken;

interface Optional<K extends Kind> {
  readonly kind: K;
  readonly preset: Known;
}

interface Rest<K extends Kind> {
  readonly kind: K;
  readonly rest: true;
}

/** A parameter that may be left out. */
export const optional = <K extends Kind>(kind: K, preset: Known): Optional<K> => ({ kind, preset });
/** The last parameter, which takes any number of arguments. */
export const rest = <K extends Kind>(kind: K): Rest<K> => ({ kind, rest: true });

type Parameters = Readonly<Record<string, Kind | Optional<Kind> | Rest<Kind>>>;

type Given<P extends Parameters> = {
  readonly [N in keyof P]: P[N] extends Kind
    ? Taken[P[N]]
    : P[N] extends Rest<infer K>
      ? readonly Taken[K][]
      : P[N] extends Optional<infer K>
        ? Taken[K]
        : never;
};

export interface Parameter {
  readonly name: string;
  readonly kind: Kind;
  /** Value when the argument is left out. */
  readonly preset?: Known;
  readonly rest?: boolean;
}

/** u32 scalars of the graph for counter-based draws. */
export interface ScalarIds {
  readonly seed: number;
  readonly step: number;
  readonly sampleOffset: number;
  /** Forward passes that drew weights so far. */
  readonly pass: number;
  /** f32: 1 in a training step, 0 where gradients are only looked at. */
  readonly training: number;
}

/** What the place of a call offers to a builtin. */
export interface CallContext {
  /** The graph under construction; throws METHOD-STATIC where only known values make sense (shapes, conditions). */
  readonly builder: () => Builder;
  /** Node of a tensor from a value that can be one. Throws METHOD-ARGUMENT. */
  readonly tensor: (value: Value) => number;
  readonly scalars: () => ScalarIds;
  /** Samples of the batch; undefined where weights are merged. */
  readonly samples: () => number | undefined;
  readonly situation: Situation;
  /** Widths of the site's input and output. */
  readonly in: number;
  readonly out: number;
  /** Number of the site and of the call: the stream of the random draws made here. */
  readonly site: number;
  readonly ordinal: number;
  /** What every expert adds to the site's weight, as an operator; undefined for those that leave it. */
  readonly experts: () => readonly (number | undefined)[];
  /** Registers a host table and answers with the node of its port. */
  readonly table: (name: string, data: Int32Array | Float32Array, shape: readonly number[]) => number;
  /** The node of a number that is an input of a padded program; undefined in other programs, where the number is known. */
  readonly setting: (value: number) => number | undefined;
  /** An error at the place of the call. */
  readonly fail: (message: string, expected?: string, got?: string) => Error;
}

export interface Builtin {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly doc: string;
  readonly call: (given: Readonly<Record<string, unknown>>, context: CallContext) => Value;
}

/** A builtin that makes a value of any kind. */
export function makesValue<const P extends Parameters>(
  name: string,
  parameters: P,
  doc: string,
  call: (given: Given<P>, context: CallContext) => Value,
): Builtin {
  const named = Object.entries(parameters).map(([name, parameter]) =>
    typeof parameter === "string" ? { name, kind: parameter } : { name, ...parameter },
  );
  return { name, parameters: named, doc, call: call as Builtin["call"] };
}

/** Makers of builtins whose result `wrap` makes a value. */
const making =
  <Result>(wrap: (result: Result) => Value) =>
  <const P extends Parameters>(
    name: string,
    parameters: P,
    doc: string,
    call: (given: Given<P>, context: CallContext) => Result,
  ): Builtin =>
    makesValue(name, parameters, doc, (given, context) => wrap(call(given, context)));

/** Makers of builtins that build a node. */
const building =
  (wrap: (id: number) => Value) =>
  <const P extends Parameters>(
    name: string,
    parameters: P,
    doc: string,
    call: (given: Given<P>, builder: Builder, context: CallContext) => number,
  ): Builtin =>
    makesValue(name, parameters, doc, (given, context) => wrap(call(given, context.builder(), context)));

/** What is known before anything is built. */
export const makesKnown = making(known);
/** How a tensor begins. */
export const makesDistribution = making(
  (distribution: Distribution): Value => ({ kind: "distribution", distribution }),
);
export const makesTensor = building(tensorValue);
export const makesOperator = building(operatorValue);

/** `name(a, b = 1, ...rest)`, as messages and documentation show it. */
export function signature({ name, parameters }: Pick<Builtin, "name" | "parameters">): string {
  const shown = parameters.map(({ name, preset, rest }) => {
    if (rest === true) return `...${name}`;
    return preset === undefined ? name : `${name} = ${JSON.stringify(preset)}`;
  });
  return shown.length === 0 ? name : `${name}(${shown.join(", ")})`;
}
