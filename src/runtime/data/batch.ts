/** A batch as sessions take it, checked and completed to the inputs of a program's graphs. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import type { ModelInput } from "../../models/model.ts";
import type { AdapterInput, CompiledProgram } from "../../program/index.ts";
import { shown, unknownName } from "../options.ts";
import { labelRole, paddingRole } from "./batches.ts";
import { headLabels, labelNames, refuseLabels } from "./head-labels.ts";

/** One batch. Arrays are row-major [batch, length]. */
export interface SessionBatch {
  /** All models but those of images read it. */
  readonly input_ids?: ArrayLike<number>;
  /** [batch, length], unshifted, or [batch] for a classifier of rows; -100 is not counted. */
  readonly labels?: ArrayLike<number> | undefined;
  /** Of models that find spans: [batch], the first and the last token; places outside of the text are not counted. */
  readonly start_positions?: ArrayLike<number> | undefined;
  readonly end_positions?: ArrayLike<number> | undefined;
  readonly attention_mask?: ArrayLike<number>;
  /** Of models with token types; 0 unless given. */
  readonly token_type_ids?: ArrayLike<number>;
  /** Of models of images: [batch, channels, height, width]. */
  readonly pixel_values?: ArrayLike<number>;
  /** Of adapters that route by tasks: [batch]. */
  readonly task_ids?: ArrayLike<number>;
  /** Of adapters with a context of examples (CPT): what every token is for; 4, a label, unless given. */
  readonly input_type_mask?: ArrayLike<number>;
  /** What streams tell of their batches, and no model reads: tokens that are not padding. */
  readonly tokens?: number;
}

const tensorNames: Record<keyof Omit<SessionBatch, "tokens">, true> = {
  input_ids: true,
  labels: true,
  start_positions: true,
  end_positions: true,
  attention_mask: true,
  token_type_ids: true,
  pixel_values: true,
  task_ids: true,
  input_type_mask: true,
};
export const batchTensors = Object.keys(tensorNames) as readonly (keyof typeof tensorNames)[];

const noArray = (where: string, got: unknown, expected = "an array of numbers"): WebpeftError =>
  new WebpeftError("DATA-BATCH", { message: "a batch is tensors by name", where, expected, got: shown(got) });

/** The caller's numbers, as they are now. transformers.js has ids as 64-bit integers. */
function copied(data: unknown): ArrayLike<number> {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  return ArrayBuffer.isView(data) ? (data as Float32Array).slice() : Array.from(data as ArrayLike<number>);
}

/** A copy of the batch as it is now, so that what its owner does to it later changes nothing. Throws `DATA-BATCH` for unknown names. */
export function copiedBatch(given: SessionBatch): SessionBatch {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw noArray("batch", given, `an object with ${batchTensors.join(", ")}`);
  const { tokens: _tokens, ...tensors } = given;
  const copies = Object.entries(tensors).flatMap(([name, data]: [string, unknown]): [string, ArrayLike<number>][] => {
    if (data === undefined) return [];
    if (!Object.hasOwn(tensorNames, name)) throw unknownName("tensor", name, batchTensors, "DATA-BATCH");
    if (typeof data !== "object" || data === null || !Number.isSafeInteger((data as { length?: unknown }).length))
      throw noArray(name, data);
    const numbers: readonly unknown[] = Array.isArray(data) ? data : [];
    const nested = numbers.findIndex((x) => typeof x === "object" && x !== null);
    if (nested >= 0) throw noArray(`${name}[${nested}]`, numbers[nested], "one array of all numbers, row by row");
    return [[name, copied(data)]];
  });
  return Object.fromEntries(copies);
}

function wrongSize(name: string, shape: readonly number[], got: number): WebpeftError {
  return new WebpeftError("DATA-BATCH", {
    message: `${name} has another size than the program was compiled for`,
    where: name,
    expected: `[${shape.join(", ")}]`,
    got: `${got} numbers`,
  });
}

/** What is wrong with a number that is no token. */
const outOfRange: Readonly<Record<string, string>> = {
  task_ids: "the adapter has no such task",
  input_type_mask: "the role of a token is no whole number from 0 (-1 is padding)",
};

/** A device would read out of bounds: throws `DATA-TOKEN-RANGE` for an id that the model, or the adapter's table of tasks, does not have. */
function checkTokens(ids: ArrayLike<number>, vocabulary: number, where: string, also?: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (id === also || (Number.isInteger(id) && id >= 0 && id < vocabulary)) continue;
    throw new WebpeftError("DATA-TOKEN-RANGE", {
      message: outOfRange[where] ?? "a token id is not in the model's vocabulary",
      where: `${where}[${i}]`,
      expected: `0 to ${vocabulary - 1}${also === undefined ? "" : `, or ${also}`}`,
      got: String(id),
    });
  }
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
  const odd = Array.prototype.findIndex.call(given, (x) => !Number.isFinite(x));
  if (odd >= 0) throw noArray(`${name}[${odd}]`, given[odd], "finite numbers");
  return given;
}

/** Throws `DATA-BATCH` for a row without the token that the head looks for; one that is all padding counts for nothing. */
function requireInRows(
  { name, inEveryRow: token }: ModelInput,
  given: ArrayLike<number>,
  { attention_mask: mask }: SessionBatch,
  [batch, length]: readonly [number, number],
): void {
  for (let row = 0; row < batch; row++) {
    const own = (data: ArrayLike<number>): number[] => Array.from({ length }, (_unused, i) => data[row * length + i]!);
    const isHidden = mask !== undefined && own(mask).every((x) => x === 0);
    if (own(given).includes(token!) || isHidden) continue;
    throw new WebpeftError("DATA-BATCH", {
      message: "a row lacks the token at which the model reads it",
      where: `${name}, row ${row}`,
      expected: `token ${token}, which ends a text (eos_token_id)`,
      got: "none",
      help: "let the tokenizer put it behind the text, or write it there",
    });
  }
}

type Named = Readonly<Record<string, ArrayLike<number> | undefined>>;

const has = (data: ArrayLike<number>, values: readonly number[]): boolean =>
  Array.prototype.every.call(data, (x: number) => values.includes(x));

/** What a tensor says where it changes nothing. */
const neutral: Readonly<Record<string, readonly number[]>> = {
  attention_mask: [1],
  token_type_ids: [0],
  input_type_mask: [labelRole, paddingRole],
};

const unreadHelp: Readonly<Record<string, string>> = {
  attention_mask: "compile with { mask: true }",
  task_ids: "leave it out, or load the adapter that routes by tasks",
};

/**
 * Throws `DATA-BATCH` for a tensor that would say something and that nothing reads: neither the program nor, of what adapters read,
 * another one of the session.
 */
function requireRead(program: CompiledProgram, named: Named, session: readonly CompiledProgram[]): void {
  const read = new Set([...labelNames(program.model.defaults.head), ...program.model.inputs.map(({ name }) => name)]);
  if (program.mask) read.add("attention_mask");
  for (const { adapter } of session) for (const { name } of adapter?.inputs ?? []) read.add(name);
  for (const [name, data] of Object.entries(named)) {
    if (read.has(name) || data === undefined || has(data, neutral[name] ?? [])) continue;
    const help = unreadHelp[name];
    throw new WebpeftError("DATA-BATCH", {
      message: `the program does not read ${name}, so it would have no effect`,
      where: name,
      expected: [...read].join(", "),
      ...(help === undefined ? {} : { help }),
    });
  }
}

function attentionMask(given: ArrayLike<number> | undefined, shape: readonly number[]): ArrayLike<number> {
  if (given === undefined) return new Int32Array(sizeOf(shape)).fill(1);
  if (given.length !== sizeOf(shape)) throw wrongSize("attention_mask", shape, given.length);
  if (has(given, [0, 1])) return given;
  const got = Array.prototype.find.call(given, (x) => x !== 0 && x !== 1);
  throw noArray("attention_mask", got, "1 for what is seen, 0 for padding");
}

/**
 * The inputs that hold tokens and labels. `session`: the programs that the batch may also be for. Throws `DATA-TOKEN-RANGE` and
 * `DATA-BATCH`.
 */
export function batchInputs(
  program: CompiledProgram,
  given: SessionBatch,
  session: readonly CompiledProgram[] = [program],
): Record<string, ArrayLike<number>> {
  const { batch, length, mask, model, virtual } = program;
  const { head } = model.defaults;
  const { tokens: _tokens, ...tensors } = given;
  const named: Named = tensors;
  refuseLabels(head, given, batch, length);
  requireRead(program, named, session);
  const inputs = Object.fromEntries(
    model.inputs.map((input) => [
      input.name,
      modelInput(input, named[input.name], [batch, ...(input.rowShape ?? [length])]),
    ]),
  );
  for (const input of model.inputs)
    if (input.inEveryRow !== undefined) requireInRows(input, inputs[input.name]!, given, [batch, length]);
  const labels = headLabels(head, given, { batch, length, positions: virtual.tokens + length });
  const withLabels = labels === undefined ? inputs : { ...inputs, labels };
  if (!mask) return withLabels;
  return { ...withLabels, attention_mask: attentionMask(given.attention_mask, [batch, length]) };
}

/** By the option's name (`task`), the one value that what an adapter reads of a sample has in all of them. */
export type SampleOptions = Readonly<Record<string, number | undefined>>;

/** The inputs of a batch, by name, that all samples share. Throws `DATA-OPTION` for a value that the adapter does not read. */
export function forAllSamples({ adapter, batch }: CompiledProgram, options: SampleOptions): Record<string, Int32Array> {
  const inputs = adapter?.inputs ?? [];
  const given = Object.entries(options).flatMap(([option, value]): [string, number][] =>
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
