/** What merging is told where the adapted weights depend on the samples: one value for all of them. */
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { AdapterInput, AdapterPlan, CompiledProgram } from "../../program/index.ts";
import type { SampleOptions } from "../data/batch.ts";
import { shown, unknownName } from "../options.ts";
import type { Numbers } from "./codecs/codec.ts";
import type { AdapterValues } from "./values.ts";

/** What an adapter reads of a sample, and merging is told once for all of them. */
export const mergeInputs = (adapter: AdapterPlan | undefined): (AdapterInput & { readonly option: string })[] =>
  (adapter?.inputs ?? []).flatMap((input) => (input.option === undefined ? [] : [{ ...input, option: input.option }]));

/** What is merged for: the one value of what an adapter reads of every sample, and the numbers that stand for what varies with the batch. */
export type MergeOptions = Readonly<Record<string, number | readonly number[] | undefined>>;

/** Checked copies of what `session.merge` is given. Throws `MERGE-OPTION`. */
export function copiedMerge(sink: DiagnosticSink, options: MergeOptions): MergeOptions {
  if (!(sink instanceof DiagnosticSink))
    throw new WebpeftError("MERGE-OPTION", {
      message: "what comes first is no sink of warnings",
      where: "sink",
      expected: "a DiagnosticSink, or undefined",
      got: shown(sink),
      help: "session.merge(undefined, { task: 0 }) merges for a task",
    });
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new WebpeftError("MERGE-OPTION", {
      message: "what is merged for is given by name",
      expected: "an object such as { task: 0 }",
      got: shown(options),
    });
  const copies = Object.entries(options).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]);
  return Object.fromEntries(copies) as MergeOptions;
}

/** Throws `MERGE-OPTION` for a name that no adapter of these programs is merged for. */
function requireKnown(options: MergeOptions, programs: readonly CompiledProgram[]): void {
  const known = programs.flatMap(({ adapter }) => [
    ...mergeInputs(adapter).map(({ option }) => option),
    ...(adapter?.options ?? []).map(({ name }) => name),
  ]);
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && !known.includes(name))
      throw unknownName("option", name, [...new Set(known)], "MERGE-OPTION");
}

/**
 * Values with the buffers that merging for one task, or for fixed gates, wants. `session`: the programs that the options may also be for.
 * Throws `MERGE-OPTION`.
 */
export function withMergeOptions(
  program: CompiledProgram,
  values: AdapterValues,
  options: MergeOptions,
  session: readonly CompiledProgram[] = [program],
): AdapterValues {
  requireKnown(options, [program, ...session]);
  const { adapter } = program;
  const chosen = mergeInputs(adapter).map(({ name, option, limit = 2 ** 31 }): [string, Int32Array] => {
    const value = options[option];
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < limit)
      return [option, Int32Array.of(value)];
    throw new WebpeftError("MERGE-OPTION", {
      message: `the adapted weights depend on ${name}, and can be merged for one value only`,
      where: option,
      expected: `0 to ${limit - 1}`,
      ...(value === undefined ? {} : { got: String(value) }),
      help: `Choose one: --${option} N, or session.merge(sink, { ${option}: N }).`,
    });
  });
  const numbers = (adapter?.options ?? []).map(({ name, size }): [string, Float32Array] => {
    const value = options[name];
    if (Array.isArray(value) && value.length === size && value.every(Number.isFinite))
      return [name, Float32Array.from(value)];
    throw new WebpeftError("MERGE-OPTION", {
      message: `the adapted weights vary over tokens with their ${name}, and can be merged for fixed ${name} only`,
      where: name,
      expected: `${size} numbers`,
      ...(value === undefined ? {} : { got: JSON.stringify(value) }),
      help: `Choose them: --${name} x,y,..., or session.merge(sink, { ${name}: [x, y, ...] }).`,
    });
  });
  return { ...values, buffers: new Map<string, Numbers>([...values.buffers, ...chosen, ...numbers]) };
}

/** The option values that a batch gives where all its samples agree. */
export function optionsOf({ adapter }: CompiledProgram, batch: object): SampleOptions {
  const named = batch as Readonly<Record<string, ArrayLike<number> | undefined>>;
  const agreed = mergeInputs(adapter).flatMap(({ name, option }): [string, number][] => {
    const values = new Set(Array.from(named[name] ?? []));
    return values.size === 1 ? [[option, [...values][0]!]] : [];
  });
  return Object.fromEntries(agreed);
}
