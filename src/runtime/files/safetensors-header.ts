/**
 * The header of a safetensors file: 8 bytes of length, a JSON object of that length, then the numbers without gaps. Files come from
 * strangers, so every rule of the format is checked before anything is allocated by the file's word.
 */
import type { Code } from "../../ir/codes/index.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import { byCodePoint, duplicateKey, isJsonObject, type JsonObject, nestingOf } from "./json.ts";
import type { ByteSource } from "./source.ts";
import { isTensorDtype, type TensorDtype, tensorDtypes } from "./tensor.ts";

/** The format's own limit. */
const largestHeader = 100_000_000;

export interface TensorEntry {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** First byte in the file, and the one behind the last. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Reads and checks a header. Every broken rule has its own code, `FILE-SAFETENSORS-*`. `headerOnly`: the bytes of the tensors may be missing.
 */
export async function readHeader(source: ByteSource, headerOnly = false): Promise<SafetensorsHeader> {
  const length = await headerLength(source);
  const json = parseHeader(source.name, await source.read(8, length));
  const begin = 8 + length;
  const room = headerOnly ? Number.POSITIVE_INFINITY : source.size - begin;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = checkMetadata(source.name, value);
    else tensors.set(name, checkEntry(source, name, value, begin, room));
  }
  return { metadata, tensors: checkCoverage(source, tensors, begin, headerOnly) };
}

function headerError(code: Code, file: string, message: string, expected: string, got: string): WebpeftError {
  const help = "The file is damaged or was not written by safetensors; download or convert it again.";
  return new WebpeftError(code, { message, where: file, expected, got, help });
}

async function headerLength(source: ByteSource): Promise<number> {
  if (source.size < 8) {
    throw headerError(
      "FILE-SAFETENSORS-TRUNCATED",
      source.name,
      "the file is too short",
      "8 bytes at least",
      `${source.size} bytes`,
    );
  }
  const bytes = await source.read(0, 8);
  if (new TextDecoder().decode(bytes) === "version ")
    throw new WebpeftError("FILE-SAFETENSORS-HEADER-SIZE", {
      message: "the file is a text that stands for the tensors, as git leaves it where git-lfs did not fetch them",
      where: source.name,
      expected: "a safetensors file",
      got: `${source.size} bytes that begin with "version "`,
      help: "Fetch the file itself: git lfs pull, in the folder that was cloned.",
    });
  const claimed = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (claimed > BigInt(largestHeader)) {
    const limit = `${largestHeader} bytes at most`;
    throw headerError(
      "FILE-SAFETENSORS-HEADER-SIZE",
      source.name,
      "the header claims to be too large",
      limit,
      `${claimed} bytes`,
    );
  }
  const length = Number(claimed);
  if (length > source.size - 8) {
    const room = `${source.size - 8} bytes at most`;
    throw headerError(
      "FILE-SAFETENSORS-TRUNCATED",
      source.name,
      "the header is longer than the file",
      room,
      `${length} bytes`,
    );
  }
  return length;
}

function parseHeader(file: string, bytes: Uint8Array): JsonObject {
  const fail = (message: string, got: string): WebpeftError =>
    headerError("FILE-SAFETENSORS-HEADER", file, message, "a JSON object in UTF-8", got);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fail("the header is not UTF-8", "other bytes");
  }
  if (!text.startsWith("{")) throw fail("the header does not begin with {", JSON.stringify(text.slice(0, 16)));
  // A tensor's entry has two lists in an object in the header, and takes 48 characters at least.
  const nesting = nestingOf(text);
  if (nesting.depth > 3 || nesting.count > 64 + text.length / 16) {
    throw fail("the header is no list of tensors", `${nesting.count} objects and lists, ${nesting.depth} deep`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw fail("the header is not valid JSON", error instanceof Error ? error.message.slice(0, 200) : String(error));
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    const got = `${JSON.stringify(twice.join(".")).slice(0, 200)} twice`;
    throw headerError("FILE-SAFETENSORS-DUPLICATE", file, "the header has a key twice", "every key once", got);
  }
  return json as JsonObject;
}

function checkMetadata(file: string, value: unknown): Record<string, string> {
  const isRecord = isJsonObject(value) && Object.values(value).every((entry) => typeof entry === "string");
  if (isRecord) return value as Record<string, string>;
  throw headerError(
    "FILE-SAFETENSORS-METADATA",
    `${file}: __metadata__`,
    "the metadata is malformed",
    "texts by name",
    describe(value),
  );
}

const describe = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 200);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

function checkEntry(source: ByteSource, name: string, value: unknown, begin: number, room: number): TensorEntry {
  const where = `${source.name}: ${name}`;
  if (!isJsonObject(value)) {
    throw headerError(
      "FILE-SAFETENSORS-ENTRY",
      where,
      "a tensor's entry is malformed",
      "dtype, shape, data_offsets",
      describe(value),
    );
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isTensorDtype(dtype)) {
    const known = Object.keys(tensorDtypes).join(", ");
    throw headerError(
      "FILE-SAFETENSORS-DTYPE",
      where,
      "a tensor has a dtype that webpeft does not read",
      known,
      describe(dtype),
    );
  }
  if (!isCounts(shape)) {
    throw headerError(
      "FILE-SAFETENSORS-SHAPE",
      where,
      "a tensor's shape is malformed",
      "a list of whole numbers",
      describe(shape),
    );
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw headerError(
      "FILE-SAFETENSORS-OFFSETS",
      where,
      "a tensor's offsets are malformed",
      "[begin, end]",
      describe(offsets),
    );
  }
  const [from, to] = offsets as [number, number];
  if (to > room) {
    const expected = `an end at ${room} at most`;
    throw headerError(
      "FILE-SAFETENSORS-TRUNCATED",
      where,
      "a tensor ends behind the end of the file",
      expected,
      `${to}`,
    );
  }
  const bytes = byteLength(dtype, shape);
  if (bytes !== to - from) {
    const expected = `${to - from} bytes, as its offsets say`;
    const got = `${dtype}[${shape.slice(0, 16).join(",")}], ${bytes ?? "more than 2^53"} bytes`;
    throw headerError("FILE-SAFETENSORS-SIZE", where, "a tensor's shape does not fit its offsets", expected, got);
  }
  return { dtype, shape, begin: begin + from, end: begin + to };
}

/** Bytes of a tensor, or undefined when some product on the way is beyond exact integers. */
function byteLength(dtype: TensorDtype, shape: readonly number[]): number | undefined {
  let bytes: number = tensorDtypes[dtype];
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

/** The tensors in the order of their bytes, which must follow one another from the header to the end of the file. */
function checkCoverage(
  source: ByteSource,
  tensors: ReadonlyMap<string, TensorEntry>,
  begin: number,
  headerOnly: boolean,
): ReadonlyMap<string, TensorEntry> {
  const sorted = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = begin;
  for (const [name, entry] of sorted) {
    const expected = `a begin at ${at - begin}`;
    const got = `${entry.begin - begin}`;
    const where = `${source.name}: ${name}`;
    if (entry.begin < at)
      throw headerError("FILE-SAFETENSORS-OVERLAP", where, "a tensor overlaps the one before it", expected, got);
    if (entry.begin > at)
      throw headerError("FILE-SAFETENSORS-HOLE", where, "there is a hole before a tensor", expected, got);
    at = entry.end;
  }
  if (at !== source.size && !headerOnly) {
    const expected = `${at} bytes`;
    const got = `${source.size} bytes`;
    throw headerError("FILE-SAFETENSORS-HOLE", source.name, "the file is longer than its tensors", expected, got);
  }
  return new Map(sorted);
}

/** A tensor to be written. */
export interface TensorPlan {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
}

/** Dtypes in the order in which the safetensors library lays out a file: wide ones first, so that all are aligned. */
const layoutOrder: readonly TensorDtype[] = [
  "I64",
  "F64",
  "F32",
  "U32",
  "I32",
  "BF16",
  "F16",
  "I16",
  "I8",
  "U8",
  "BOOL",
];

/** Sorts as the safetensors library does: by dtype, then by name. */
export function layoutSorted<T extends TensorPlan>(tensors: readonly T[]): T[] {
  const rank = (tensor: T): number => layoutOrder.indexOf(tensor.dtype);
  return [...tensors].sort((a, b) => rank(a) - rank(b) || byCodePoint(a.name, b.name));
}

/** Length and header for tensors in the order given, padded with blanks to a multiple of 8. `metadata` comes first. */
export function encodeHeader(tensors: readonly TensorPlan[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    const length = byteLength(dtype, shape);
    if (length === undefined) throw new Error(`the tensor ${name} is too large`);
    const entry = { dtype, shape, data_offsets: [at, at + length] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    at += length;
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > largestHeader) throw new Error("the header of the tensor file is too large");
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}
