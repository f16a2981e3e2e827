/**
 * Writing folders in Node so that they are there whole or not at all: everything is written into a hidden folder beside the target, or
 * inside a target that exists (it may be a link or another disk), flushed to the disk, and then renamed.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { systemCode, writeError } from "./errors.ts";
import { isNode } from "./folder.ts";
import { checkLinks, checkPath } from "./paths.ts";

export interface OutputOptions {
  /** Allows a target that exists and is not empty. Files of other names in it are left alone. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

/** How a folder is written; see `writeFolder`. */
export interface FolderOptions extends OutputOptions {
  /** Names that are removed afterwards. */
  readonly obsolete?: readonly string[];
  /** Names that must not stand in the folder, and why, also where it may be overwritten. */
  readonly excluded?: Readonly<Record<string, string>>;
  /** Called with the folder where all files lie before they are put in place; when it throws nothing is. */
  readonly check?: (staged: string) => Promise<void>;
}

/** A file's content: whole, or piece by piece so that it need not be in memory. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>;

/** A lock inside of an output folder; it does not fill the folder. */
export const innerLock = ".webpeft.lock";

type OutputState = "absent" | "empty" | "filled";

/** What is asked of a folder before anything is written. */
export type ClaimOptions = Pick<FolderOptions, "overwrite" | "excluded">;

/**
 * Checks, without a trace, that `folder` can be written: absent or empty, or `overwrite`; and that the place is writable. To be called
 * before hours of work. Throws `FILE-OUTPUT-EXISTS`, `FILE-OUTPUT-FOREIGN`, `FILE-NOT-A-FOLDER`, `FILE-WRITE`.
 */
export async function prepareOutput(folder: string, options: ClaimOptions = {}): Promise<void> {
  const { access, constants, readdir } = await import("node:fs/promises");
  const { dirname, resolve } = await import("node:path");
  const state = await outputState(folder);
  if (state === "filled" && !options.overwrite) throw outputExists(folder);
  if (state === "filled") checkExcluded(folder, await readdir(folder), options);
  let place = resolve(folder);
  if (state === "absent") {
    do place = dirname(place);
    while ((await outputState(place)) === "absent" && place !== dirname(place));
  }
  await access(place, constants.W_OK).catch((error: unknown) => {
    throw writeError(error, folder);
  });
}

/** `FILE-OUTPUT-EXISTS`: what is there is not replaced unasked. */
export const outputExists = (where: string): WebpeftError =>
  new WebpeftError("FILE-OUTPUT-EXISTS", {
    message: "the output folder exists and is not empty",
    where,
    help: "Choose another, or allow overwriting.",
  });

/** Throws `FILE-OUTPUT-FOREIGN` for a name that must not stand in the folder. */
export function checkExcluded(
  folder: string,
  names: readonly string[],
  { excluded = {} }: Pick<FolderOptions, "excluded">,
): void {
  const name = names.find((known) => Object.hasOwn(excluded, known));
  if (name === undefined) return;
  throw new WebpeftError("FILE-OUTPUT-FOREIGN", {
    message: `the output folder holds ${excluded[name]!}`,
    where: `${folder.replace(/\/+$/, "")}/${name}`,
    help: "Move it, or choose another folder; --overwrite does not remove it.",
  });
}

const noFolders = (folder: string): WebpeftError =>
  new WebpeftError("FILE-NO-FOLDERS", {
    message: "a page has no folders by path",
    where: String(folder),
    expected: "a FileSystemDirectoryHandle",
    help: "give the handle of a folder (showDirectoryPicker, navigator.storage.getDirectory), or take the bytes of session.files() and modelFiles(model)",
  });

/** `ignored` is a name inside that does not count. */
async function outputState(folder: string, ignored?: string): Promise<OutputState> {
  const { readdir } = await import("node:fs/promises");
  try {
    return (await readdir(folder)).every((name) => name === ignored || name === innerLock) ? "empty" : "filled";
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return "absent";
    if (code !== "ENOTDIR") throw writeError(error, folder);
    throw new WebpeftError("FILE-NOT-A-FOLDER", { message: "a folder was expected", where: folder, got: "a file" });
  }
}

/**
 * Writes a folder of files; names may hold folders. A new folder appears with one rename; into an existing one the files are renamed one
 * after the other, in the order of the map, once all of them are on the disk, and then `obsolete` names are removed. When writing fails, or `signal` is aborted,
 * nothing is left behind and nothing was replaced. Throws `FILE-NOT-A-FILE` and `FILE-NOT-A-FOLDER` for what no file can replace, `FILE-PATH` for a name, or a link on its way, that leads out of the folder,
 * `FILE-OUTPUT-EXISTS`, `FILE-OUTPUT-FOREIGN`, `FILE-DISK-FULL`, `FILE-WRITE`.
 */
export async function writeFolder(
  folder: string,
  files: ReadonlyMap<string, FileContent>,
  options: FolderOptions = {},
): Promise<void> {
  if (!isNode()) throw noFolders(folder);
  const { mkdir, mkdtemp, rm } = await import("node:fs/promises");
  const { basename, dirname, join, resolve } = await import("node:path");
  for (const name of [...files.keys(), ...(options.obsolete ?? [])]) checkPath(folder, name);
  await prepareOutput(folder, options);
  const target = resolve(folder);
  const isNew = (await outputState(folder)) === "absent";
  if (!isNew) {
    for (const name of files.keys()) {
      await checkLinks(folder, dirname(name));
      await checkPlace(join(folder, name));
    }
  }
  let made: string | undefined;
  let staged: string | undefined;
  try {
    if (isNew) made = await mkdir(dirname(target), { recursive: true });
    staged = await mkdtemp(isNew ? join(dirname(target), `.${basename(target)}.partial-`) : join(target, ".partial-"));
    for (const [name, content] of files) {
      await mkdir(dirname(join(staged, name)), { recursive: true });
      await writeNew(join(staged, name), content, options.signal);
    }
    await options.check?.(staged);
    options.signal?.throwIfAborted();
    const inside = isNew ? undefined : basename(staged);
    if (!options.overwrite && (await outputState(folder, inside)) === "filled") throw outputExists(folder);
    if (isNew) await publishFolder(staged, target);
    else await publishFiles(staged, target, [...files.keys()], options.obsolete ?? []);
  } catch (error) {
    if (staged !== undefined) await rm(staged, { recursive: true, force: true });
    if (made !== undefined) await removeEmpty(dirname(target), made);
    throw writeError(error, folder);
  }
}

/** Throws for what no rename puts a file in the place of: `FILE-NOT-A-FILE` for a folder, `FILE-NOT-A-FOLDER` for one that is inside of a file. */
async function checkPlace(path: string): Promise<void> {
  const { lstat } = await import("node:fs/promises");
  const help = "Move it, or choose another folder; --overwrite does not remove it.";
  const known = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) !== "ENOTDIR") return undefined;
    const message = "a file stands where the output needs a folder";
    throw new WebpeftError("FILE-NOT-A-FOLDER", { message, where: path, got: "a file on the way", help });
  });
  if (known?.isDirectory() !== true) return;
  const message = "a folder stands where a file is to be written";
  throw new WebpeftError("FILE-NOT-A-FILE", {
    message,
    where: path,
    expected: "a file, or nothing",
    got: "a folder",
    help,
  });
}

/** `mkdtemp` makes folders for the owner alone; the published one gets the mode of any new folder. */
async function publishFolder(staged: string, target: string): Promise<void> {
  const { chmod, rename } = await import("node:fs/promises");
  await chmod(staged, 0o777 & ~process.umask());
  await rename(staged, target);
}

async function publishFiles(
  staged: string,
  target: string,
  names: readonly string[],
  obsolete: readonly string[],
): Promise<void> {
  const { mkdir, rename, rm } = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  for (const name of names) {
    await mkdir(dirname(join(target, name)), { recursive: true });
    await rename(join(staged, name), join(target, name));
  }
  for (const name of obsolete) await rm(join(target, name), { force: true });
  await rm(staged, { recursive: true, force: true });
}

/** Takes back the parent folders that were made, `made` being the outermost. */
async function removeEmpty(innermost: string, made: string): Promise<void> {
  const { rmdir } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  for (let folder = innermost; folder.startsWith(made); folder = dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

/** Replaces or creates one file by a rename, flushed to the disk before. Throws `FILE-DISK-FULL`, `FILE-WRITE`. */
export async function writeFileAtomically(path: string, content: FileContent, signal?: AbortSignal): Promise<void> {
  const { rename, rm } = await import("node:fs/promises");
  const { basename, dirname, join } = await import("node:path");
  const staged = join(dirname(path), `.${basename(path)}.partial-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
  try {
    await writeNew(staged, content, signal);
    await rename(staged, path);
  } catch (error) {
    await rm(staged, { force: true });
    throw writeError(error, path);
  }
}

/** Writes and flushes a file that must not exist yet. */
async function writeNew(path: string, content: FileContent, signal: AbortSignal | undefined): Promise<void> {
  const { open } = await import("node:fs/promises");
  const handle = await open(path, "wx");
  try {
    for await (const piece of pieces(content)) {
      signal?.throwIfAborted();
      for (let done = 0; done < piece.byteLength; ) {
        const { bytesWritten } = await handle.write(piece, done, Math.min(piece.byteLength - done, 2 ** 28));
        done += bytesWritten;
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function* pieces(content: FileContent): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield new TextEncoder().encode(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}
