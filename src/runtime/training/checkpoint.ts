/**
 * Checkpoints: folders `checkpoint-<steps>` inside of the output, each there whole or not at all. They hold the adapter as PEFT reads it, and
 * in `optimizer.safetensors` and `training.json` what a run needs to go on bit for bit.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { CompiledProgram } from "../../program/index.ts";
import { checkpointFiles, recordFile, stateFile } from "../files/adapter.ts";
import { writeFolder } from "../files/output.ts";
import { encodeSafetensors, openSafetensors, torchMetadata } from "../files/safetensors.ts";
import { bytesSource } from "../files/source.ts";
import { hostTensor, toFloat32 } from "../files/tensor.ts";
import { broken, type RunIdentity, readRecord, readRecorded, recordText } from "./checkpoint-record.ts";
import type { OptimizerState } from "./optimizer-state.ts";

export type { RunIdentity } from "./checkpoint-record.ts";

const prefix = "checkpoint-";
/** Older checkpoints are removed. */
const kept = 2;

/** What is saved: a session, or what gives the same. */
export interface Checkpointed {
  readonly program: Pick<CompiledProgram, "adapter">;
  optimizerState(): Promise<OptimizerState>;
  /** The adapter's files by name. */
  files(): Promise<ReadonlyMap<string, Uint8Array>>;
}

export async function saveCheckpoint(folder: string, session: Checkpointed, identity: RunIdentity): Promise<void> {
  const { mkdir } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const state = await session.optimizerState();
  const vector = (data: Float32Array) => hostTensor("F32", [data.length], data);
  const tensors = new Map([
    ["moment1", vector(state.moment1)],
    ["moment2", vector(state.moment2)],
    ["params", vector(state.params)],
  ]);
  const files = new Map<string, Uint8Array | string>(
    session.program.adapter?.peftType === "FULL" ? [] : await session.files(),
  );
  files.set(stateFile, encodeSafetensors(tensors, { ...torchMetadata, program: state.program }));
  files.set(recordFile, await recordText(state.step, identity, files));
  await mkdir(folder, { recursive: true });
  await writeFolder(join(folder, `${prefix}${state.step}`), files, { overwrite: true });
  await prune(folder);
}

async function checkpointSteps(folder: string): Promise<number[]> {
  const { readdir } = await import("node:fs/promises");
  const names = await readdir(folder).catch(() => []);
  const steps = names.flatMap((name) =>
    /^checkpoint-(0|[1-9]\d{0,14})$/.test(name) ? [Number(name.slice(prefix.length))] : [],
  );
  return steps.sort((a, b) => b - a);
}

/** A checkpoint that is in a folder. */
export interface FoundCheckpoint {
  readonly path: string;
  /** Whether a run of webpeft wrote it: other programs, such as the Trainer of transformers, give theirs the same names. */
  readonly own: boolean;
}

/** All checkpoints in a folder, by their names. */
export async function findCheckpoints(folder: string): Promise<FoundCheckpoint[]> {
  const { readdir } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const found: FoundCheckpoint[] = [];
  for (const step of await checkpointSteps(folder)) {
    const path = join(folder, `${prefix}${step}`);
    const names = await readdir(path).catch(() => []);
    found.push({ path, own: names.some((name) => checkpointFiles.includes(name)) });
  }
  return found;
}

async function prune(folder: string): Promise<void> {
  for (const step of (await checkpointSteps(folder)).slice(kept)) await removeCheckpoint(folder, step);
}

/** Under a hidden name first: a process that dies meanwhile leaves no half of a checkpoint. */
async function removeCheckpoint(folder: string, step: number): Promise<void> {
  const { rename, rm } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const doomed = join(folder, `.${prefix}${step}.partial-removed`);
  await rename(join(folder, `${prefix}${step}`), doomed);
  await rm(doomed, { recursive: true, force: true });
}

/** Removes the checkpoints of a finished run. */
export async function removeCheckpoints(folder: string): Promise<void> {
  for (const step of await checkpointSteps(folder)) await removeCheckpoint(folder, step);
}

/** Removes what a killed process left half-written in an output folder. */
export async function removeLeftovers(folder: string): Promise<void> {
  const { readdir, rm } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const names = await readdir(folder).catch(() => []);
  const leftovers = names.filter((name) => /^\.(checkpoint-\d+\.)?partial-/.test(name));
  for (const name of leftovers) await rm(join(folder, name), { recursive: true, force: true });
}

/** The steps of the newest checkpoint. Throws `TRAIN-RESUME-NONE` when there is none. */
export async function requireCheckpoint(folder: string): Promise<number> {
  const [newest] = await checkpointSteps(folder);
  if (newest !== undefined) return newest;
  throw new WebpeftError("TRAIN-RESUME-NONE", {
    message: "there is no checkpoint to go on from",
    where: folder,
    expected: `a folder ${prefix}<steps>, as a run with --save-every writes it, or one that is stopped by Ctrl+C`,
    help: "check --out; to begin a run, leave --resume out. A run that ended has no checkpoints left: train its adapter further with --adapter in the place of --config, and another --out",
  });
}

/**
 * The state of the newest checkpoint. Throws `TRAIN-RESUME-NONE` when there is none, `TRAIN-RESUME-OTHER` when it belongs to another run,
 * naming what differs, and `TRAIN-RESUME-BROKEN` when its files are not as they were written.
 */
export async function loadCheckpoint(folder: string, identity: RunIdentity): Promise<OptimizerState> {
  const { join } = await import("node:path");
  const newest = await requireCheckpoint(folder);
  const path = join(folder, `${prefix}${newest}`);
  const record = await readRecord(path, newest);
  const other = Object.keys(identity).find((name) => record.identity[name] !== identity[name]);
  if (other !== undefined) {
    throw new WebpeftError("TRAIN-RESUME-OTHER", {
      message: `the checkpoint belongs to another run; what differs: ${other}`,
      where: path,
      expected: record.identity[other] ?? "none",
      got: identity[other]!,
      help: "give the options, config and data of the first run, on its device and engine (the version of Node), or another --out",
    });
  }
  const bytes = (await readRecorded(path, record)).get(stateFile);
  if (bytes === undefined) throw broken(join(path, recordFile), `it names no ${stateFile}`);
  const file = await openSafetensors(bytesSource(join(path, stateFile), bytes));
  const read = async (name: string): Promise<Float32Array> => Float32Array.from(toFloat32(await file.read(name)));
  return {
    step: record.step,
    program: file.metadata.program ?? "",
    params: await read("params"),
    moment1: await read("moment1"),
    moment2: await read("moment2"),
  };
}
