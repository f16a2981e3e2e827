/** A batch as sessions take it, checked and completed to the inputs of a program's graphs. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import { labelShape } from "../models/head.ts";
import { ignoredLabel } from "../models/loss.ts";
import type { ModelInput } from "../models/model.ts";
import type { AdapterInput, CompiledProgram } from "../program.ts";
import { checkTokens } from "./data/tokens.ts";

/** One batch. Arrays are row-major [batch, length]. */
export interface SessionBatch {
  /** All models but those of images read it. */
  readonly input_ids?: ArrayLike<number>;
  /** [batch, length], unshifted, or [batch] for a classifier of rows; -100 is not counted. */
  readonly labels?: ArrayLike<number>;
  readonly attention_mask?: ArrayLike<number>;
  /** Of models with token types; 0 unless given. */
  readonly token_type_ids?: ArrayLike<number>;
  /** Of models of images: [batch, channels, height, width]. */
  readonly pixel_values?: ArrayLike<number>;
  /** Of adapters that route by tasks: [batch]. */
  readonly task_ids?: ArrayLike<number>;
  /** Of adapters with a context of examples (CPT): what every token is for; 4, a label, unless given. */
  readonly input_type_mask?: ArrayLike<number>;
}

function wrongSize(name: string, shape: readonly number[], got: number): WebpeftError {
  return new WebpeftError("DATA-BATCH", {
    message: `${name} has another size than the program was compiled for`,
    where: name,
    expected: `[${shape.join(", ")}]`,
    got: `${got} numbers`,
  });
}

function modelInput(
  input: ModelInput & Partial<Pick<AdapterInput, "option">>,
  given: ArrayLike<number> | undefined,
  shape: readonly number[],
): ArrayLike<number> {
  const { name, dtype, fill, limit, padding, option } = input;
  if (given === undefined) {
    if (fill !== undefined) return new Int32Array(sizeOf(shape)).fill(fill);
    throw new WebpeftError("DATA-BATCH", {
      message: `the batch lacks ${name}`,
      where: name,
      expected: `[${shape.join(", ")}]`,
      ...(option === undefined ? {} : { help: `--${option} N is for all rows; in lines of JSON it is "${option}": N` }),
    });
  }
  if (dtype === "i32") checkTokens(given, limit ?? 2 ** 31, name, padding);
  if (given.length !== sizeOf(shape)) throw wrongSize(name, shape, given.length);
  return given;
}

/** The inputs that hold tokens and labels. Throws `DATA-TOKEN-RANGE` and `DATA-BATCH`. */
export function batchInputs(program: CompiledProgram, given: SessionBatch): Record<string, ArrayLike<number>> {
  const { batch, length, mask, model } = program;
  const { head } = model.defaults;
  const named = given as unknown as Readonly<Record<string, ArrayLike<number> | undefined>>;
  const inputs = Object.fromEntries(
    model.inputs.map((input) => [
      input.name,
      modelInput(input, named[input.name], [batch, ...(input.rowShape ?? [length])]),
    ]),
  );
  const wanted = labelShape(head, batch, length);
  const labels = given.labels ?? new Int32Array(sizeOf(wanted)).fill(ignoredLabel);
  checkTokens(labels, head.classes, "labels", ignoredLabel);
  if (labels.length !== sizeOf(wanted)) throw wrongSize("labels", wanted, labels.length);
  if (!mask) return { ...inputs, labels };
  return { ...inputs, labels, attention_mask: given.attention_mask ?? new Int32Array(batch * length).fill(1) };
}
