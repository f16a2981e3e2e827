/**
 * Files that commands write at a place that is named: what an earlier run wrote there is replaced, other files only where overwriting is
 * allowed, and files that the command reads never.
 */
import { access, constants, open, realpath, stat } from "node:fs/promises";
import { dirname, sep } from "node:path";
import { WebpeftError } from "../ir/diagnostics.ts";
import { checkpointFiles } from "../runtime/files/adapter.ts";
import { notFound, readError, systemCode, writeError } from "../runtime/files/errors.ts";
import { findCheckpoints } from "../runtime/training/checkpoint.ts";
import type { SourceOptions } from "./common.ts";
import { shellWord } from "./shell.ts";

/** Files and folders that a command reads. */
export function readPaths(
  options: SourceOptions & { readonly data?: string; readonly valid?: string; readonly input?: string },
): string[] {
  const { model, config, adapter, expert = {}, data, valid, input, method } = options;
  const named = [model, config, adapter, data, valid, input, method, ...Object.values(expert)];
  return named.filter((path) => path !== undefined);
}

/** Whether a file is one of those that are read, or lies in a folder that is, by whatever links. */
export async function isRead(file: string, reads: readonly string[]): Promise<boolean> {
  const real = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);
  const inside = await real(file);
  const places = await Promise.all(reads.map(real));
  return (
    inside !== undefined &&
    places.some((place) => place !== undefined && (inside === place || inside.startsWith(`${place}${sep}`)))
  );
}

/**
 * Throws `FILE-OUTPUT-FOREIGN` for a checkpoint in an output folder that another program wrote, or that the command reads: a run removes those
 * that it finds.
 */
export async function checkCheckpoints(out: string, reads: readonly string[]): Promise<void> {
  for (const { path, own } of await findCheckpoints(out)) {
    const kept = await Promise.all(reads.map((file) => isRead(file, [path])));
    if (own && !kept.includes(true)) continue;
    throw new WebpeftError("FILE-OUTPUT-FOREIGN", {
      message: own
        ? "the output folder holds a checkpoint that the command reads, and would remove"
        : "the output folder holds a checkpoint that webpeft did not write, and would remove",
      where: path,
      ...(own ? {} : { expected: `a checkpoint with ${checkpointFiles.join(" and ")}` }),
      help: `choose another --out${own ? "" : `; to train the adapter in it further: --adapter ${shellWord(path)}`}`,
    });
  }
}

/** Bytes at the beginning of a file, by which it is known. */
const headSize = 4096;

/** The beginning of a file; empty where there is none, or nothing in it. */
async function headOf(file: string): Promise<string> {
  try {
    if (!(await stat(file)).isFile())
      throw new WebpeftError("FILE-NOT-A-FILE", {
        message: "a place for a file is taken",
        where: file,
        expected: "a file",
      });
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(headSize), 0, headSize, 0);
      return buffer.toString("utf8", 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return "";
    throw readError(error, file);
  }
}

/**
 * Throws `FILE-OUTPUT-EXISTS` for a file with something that is not `ours`, unless it may be overwritten, which one that is read may not;
 * `FILE-NOT-A-FILE` for what is no file.
 */
export async function checkReplaced(
  file: string,
  {
    overwrite,
    reads,
    ours,
    ...told
  }: {
    readonly overwrite: boolean;
    /** Files and folders that the command reads. */
    readonly reads: readonly string[];
    /** By the beginning of its text. */
    readonly ours: (head: string) => boolean | Promise<boolean>;
    readonly message: string;
    readonly expected: string;
  },
): Promise<void> {
  const head = await headOf(file);
  if (head === "" || (await ours(head))) return;
  const isOneRead = await isRead(file, reads);
  if (overwrite && !isOneRead) return;
  throw new WebpeftError("FILE-OUTPUT-EXISTS", {
    ...told,
    message: `${told.message}${isOneRead ? ", and that the command reads" : ""}`,
    where: file,
    help: isOneRead ? "choose another file" : "choose another file, or allow overwriting: --overwrite",
  });
}

/** Throws `FILE-NOT-FOUND` where the folder that a file will be written into is missing, `FILE-WRITE` where nothing may be written there. */
export async function checkFolderOf(file: string, help: string): Promise<void> {
  const folder = dirname(file);
  const known = await stat(folder).catch((error: unknown) => {
    throw systemCode(error) === "ENOENT" ? notFound(folder, help) : writeError(error, file);
  });
  if (!known.isDirectory())
    throw new WebpeftError("FILE-NOT-A-FOLDER", { message: "a folder was expected", where: folder, got: "a file" });
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw writeError(error, file);
  });
}
