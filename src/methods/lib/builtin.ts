/**
 * What a builtin of the fragment language is: a name, a signature that is checked before the call, a line of documentation, and a function
 * that builds graph nodes or computes a known value. Builtins never see the text of a fragment.
 */

import type { Builder } from "../../ir/builder.ts";
import type { Distribution, HostArray, Known, Value } from "../dsl/value.ts";
import type { TorchGenerator } from "../random/torch.ts";
import type { Situation } from "../situation.ts";

export type ParameterKind =
  | "number"
  | "count"
  | "condition"
  | "text"
  | "counts"
  | "known"
  | "tensor"
  | "operator"
  | "stream"
  | "distribution"
  | "host";

export interface Parameter {
  readonly name: string;
  readonly kind: ParameterKind;
  /** Value when the argument is left out. */
  readonly default?: Known;
  /** The last parameter may take any number of arguments. */
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
  readonly scalars: () => ScalarIds;
  /** Samples of the batch; undefined where weights are merged. */
  readonly samples: () => number | undefined;
  readonly situation: Situation;
  /** Widths of the site's input and output. */
  readonly in: number;
  readonly out: number;
  /** Path of the site's module. */
  readonly path: string;
  /** Number of the site and of the call: the stream of the random draws made here. */
  readonly site: number;
  readonly ordinal: number;
  /** What every expert adds to the site's weight, as an operator; undefined for those that leave it. */
  readonly experts: () => readonly (number | undefined)[];
  /** The adapter tensor's values are rounded to bfloat16 where PEFT's are. */
  readonly bfloat16: boolean;
  /** Registers a host table and answers with the node of its port. */
  readonly table: (name: string, data: Int32Array | Float32Array, shape: readonly number[]) => number;
  /** The node of a number that is an input of a padded program; undefined in other programs, where the number is known. */
  readonly setting: (value: number) => number | undefined;
  /** An error at the place of the call. */
  readonly fail: (message: string, expected?: string, got?: string) => Error;
}

/** Arguments after checking, by parameter name. */
export interface Arguments {
  number(name: string): number;
  condition(name: string): boolean;
  text(name: string): string;
  counts(name: string): readonly number[];
  known(name: string): Known;
  /** Node of a tensor or operator. */
  node(name: string): number;
  nodes(name: string): readonly number[];
  numbers(name: string): readonly number[];
  stream(name: string): TorchGenerator;
  distribution(name: string): Distribution;
  host(name: string): HostArray;
}

export interface Builtin {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly doc: string;
  call(context: CallContext, args: Arguments): Value;
}

export const distribution = (made: Distribution): Value => ({ kind: "distribution", distribution: made });

/** `name(a, b = 1, ...rest)`, as messages and documentation show it. */
export function signature(builtin: Builtin): string {
  const parameters = builtin.parameters.map(({ name, default: preset, rest }) => {
    if (rest === true) return `...${name}`;
    return preset === undefined ? name : `${name} = ${JSON.stringify(preset)}`;
  });
  return parameters.length === 0 ? builtin.name : `${builtin.name}(${parameters.join(", ")})`;
}
