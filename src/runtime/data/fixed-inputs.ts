/** What an adapter reads of every sample of a batch, where all samples have one value. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { CompiledProgram } from "../../program/index.ts";

/** By the option's name (`task`), the one value of what an adapter reads of every sample. */
export type FixedInputs = Readonly<Record<string, number | undefined>>;

/** The inputs of a batch, by name, that all samples share. Throws `DATA-OPTION` for a value that the adapter does not read. */
export function fixedInputs({ adapter, batch }: CompiledProgram, fixed: FixedInputs): Record<string, Int32Array> {
  const inputs = adapter?.inputs ?? [];
  const given = Object.entries(fixed).flatMap(([option, value]): [string, number][] =>
    value === undefined ? [] : [[option, value]],
  );
  const made = given.map(([option, value]): [string, Int32Array] => {
    const input = inputs.find((one) => one.option === option);
    if (input !== undefined) return [input.name, new Int32Array(batch).fill(value)];
    throw new WebpeftError("DATA-OPTION", {
      message: `the adapter does not read a ${option} of the samples`,
      where: option,
      got: String(value),
      help: `leave ${option} out`,
    });
  });
  return Object.fromEntries(made);
}
