/** What a checkpoint says of itself: its step, the run that it belongs to, and a digest of every file and of the record, so that it is used whole and unchanged or not at all. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { recordFile } from "../files/adapter.ts";
import { isJsonObject, parseJsonObject } from "../files/json.ts";
import { checkPath } from "../files/paths.ts";
import { fileSource } from "../files/source.ts";

/** What must be the same for a run to go on: names and values as texts. */
export type RunIdentity = Readonly<Record<string, string>>;

export interface CheckpointRecord {
  /** Optimizer steps done, as in the name of the folder. */
  readonly step: number;
  readonly identity: RunIdentity;
  /** Bytes and SHA-256 of every other file of the checkpoint. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/** `TRAIN-RESUME-BROKEN`: a file of a checkpoint is not as it was written. */
export function broken(where: string, message: string, cause?: unknown): WebpeftError {
  const help = "remove this checkpoint to go on from the one before";
  return new WebpeftError(
    "TRAIN-RESUME-BROKEN",
    { message: `the newest checkpoint is not as it was written: ${message}`, where, help },
    { cause },
  );
}

async function sha256(data: string | Uint8Array): Promise<string> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256").update(data).digest("hex");
}

const encode = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;

/** The text of `training.json` for the other files of a checkpoint. */
export async function recordText(
  step: number,
  identity: RunIdentity,
  contents: ReadonlyMap<string, Uint8Array | string>,
): Promise<string> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const [name, content] of contents) {
    const bytes = encode(content);
    files[name] = { bytes: bytes.byteLength, sha256: await sha256(bytes) };
  }
  const record: CheckpointRecord = { step, identity, files };
  return `${JSON.stringify({ ...record, digest: await sha256(JSON.stringify(record)) }, null, 2)}\n`;
}

/** Reads `training.json` of a checkpoint folder of that step. Throws `TRAIN-RESUME-BROKEN`. */
export async function readRecord(folder: string, step: number): Promise<CheckpointRecord> {
  const { join } = await import("node:path");
  const path = join(folder, recordFile);
  const text = new TextDecoder().decode(await readWhole(path));
  const { digest, ...rest } = parseRecord(text, path);
  if (typeof digest !== "string") throw broken(path, "it has no digest of its own");
  if (digest !== (await sha256(JSON.stringify(rest)))) throw broken(path, "its digest is another");
  const { files, identity } = rest;
  if (!isJsonObject(files) || !isJsonObject(identity)) throw broken(path, "it names no files or no run");
  if (rest.step !== step) throw broken(path, `its step is ${JSON.stringify(rest.step)}, its folder's is ${step}`);
  return rest as unknown as CheckpointRecord;
}

function parseRecord(text: string, path: string): Record<string, unknown> {
  try {
    return parseJsonObject(text, path);
  } catch (error) {
    throw broken(path, "it is no JSON object", error);
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const source = await fileSource(path);
    return await source.read(0, source.size);
  } catch (error) {
    throw broken(path, error instanceof Error ? error.message : String(error), error);
  }
}

/** The contents of a checkpoint's files by name, each as its record says. Throws `TRAIN-RESUME-BROKEN`. */
export async function readRecorded(folder: string, { files }: CheckpointRecord): Promise<Map<string, Uint8Array>> {
  const { join } = await import("node:path");
  const contents = new Map<string, Uint8Array>();
  for (const [name, said] of Object.entries(files)) {
    const path = join(folder, checkPath(folder, name));
    const bytes = await readWhole(path);
    if (bytes.byteLength !== said.bytes) throw broken(path, `it has ${bytes.byteLength} bytes, not ${said.bytes}`);
    if ((await sha256(bytes)) !== said.sha256) throw broken(path, "its digest is another");
    contents.set(name, bytes);
  }
  return contents;
}
