/**
 * Writing into a folder that a page has: one that the user chose (`showDirectoryPicker`) or the page's own (`navigator.storage.getDirectory`).
 * Browsers write beside a file and put it in place when it is closed, so that all files are written before the first one is closed.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { noFolder } from "./folder.ts";
import { checkExcluded, type FileContent, type FolderOptions, outputExists, pieces, writeFolder } from "./output.ts";
import { checkPath } from "./paths.ts";

interface PageFile {
  createWritable(): Promise<PageWriter>;
}

interface PageWriter {
  write(data: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** What is used of a `FileSystemDirectoryHandle`. */
export interface PageFolder {
  readonly name: string;
  keys(): AsyncIterable<string>;
  getDirectoryHandle(name: string, options: { create: boolean }): Promise<PageFolder>;
  getFileHandle(name: string, options: { create: boolean }): Promise<PageFile>;
  removeEntry(name: string): Promise<void>;
}

const isPageFolder = (target: unknown): target is PageFolder =>
  typeof target === "object" && target !== null && typeof (target as Partial<PageFolder>).getFileHandle === "function";

/** A file that is being written, and how to take it back. */
interface Written {
  readonly writer: PageWriter;
  /** Removes the entry where it is new: the browser makes an empty file at once. */
  readonly remove: () => Promise<void>;
}

async function isThere(folder: PageFolder, name: string): Promise<boolean> {
  for await (const known of folder.keys()) if (known === name) return true;
  return false;
}

/** The folder of a file by its path, and the file's own name. */
async function placeOf(root: PageFolder, path: string): Promise<readonly [PageFolder, string]> {
  const parts = path.split("/");
  let folder = root;
  for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create: true });
  return [folder, parts.at(-1)!];
}

async function writeFile(root: PageFolder, path: string, content: FileContent, signal?: AbortSignal): Promise<Written> {
  const [folder, name] = await placeOf(root, path);
  const isNew = !(await isThere(folder, name));
  const remove = async (): Promise<void> => {
    if (isNew) await folder.removeEntry(name);
  };
  const writer = await (await folder.getFileHandle(name, { create: true })).createWritable();
  try {
    for await (const piece of pieces(content)) {
      signal?.throwIfAborted();
      await writer.write(piece as Uint8Array<ArrayBuffer>);
    }
  } catch (error) {
    await takeBack([{ writer, remove }]);
    throw error;
  }
  return { writer, remove };
}

/** As far as the browser lets it: what cannot be taken back must not hide why it has to be. */
async function takeBack(written: readonly Written[]): Promise<void> {
  for (const { writer, remove } of written) {
    await writer.abort().catch(() => undefined);
    await remove().catch(() => undefined);
  }
}

/**
 * Writes files, of which none is in memory as a whole where its content comes in pieces. When writing fails nothing was replaced and nothing
 * is left behind. Throws `FILE-OUTPUT-EXISTS`, `FILE-OUTPUT-FOREIGN`, `FILE-PATH`, `FILE-DISK-FULL`, `FILE-WRITE`.
 */
export async function writePageFolder(
  folder: PageFolder,
  files: ReadonlyMap<string, FileContent>,
  { overwrite = false, obsolete = [], excluded = {}, signal, check }: FolderOptions = {},
): Promise<void> {
  if (check !== undefined)
    throw new WebpeftError("FILE-OPTION", {
      message: "files of a page can't be looked at before they are put in place",
      where: "check",
    });
  for (const name of [...files.keys(), ...obsolete]) checkPath(folder.name, name);
  const written: Written[] = [];
  try {
    if (!overwrite) for await (const _entry of folder.keys()) throw outputExists(folder.name);
    for await (const name of folder.keys()) checkExcluded(folder.name, [name], { excluded });
    for (const [path, content] of files) written.push(await writeFile(folder, path, content, signal));
    for (const { writer } of written) await writer.close();
    for (const name of obsolete) if (await isThere(folder, name)) await folder.removeEntry(name);
  } catch (error) {
    await takeBack(written);
    throw pageError(error, folder.name);
  }
}

/** What browsers say is a `DOMException`; all else passes through. */
function pageError(error: unknown, where: string): unknown {
  if (!(error instanceof DOMException) || error.name === "AbortError") return error;
  const full = error.name === "QuotaExceededError";
  return new WebpeftError(
    full ? "FILE-DISK-FULL" : "FILE-WRITE",
    {
      message: full ? "there is no room for the file; nothing was written" : "a file can't be written",
      where,
      got: `${error.name}: ${error.message}`,
      help: full ? "Free space, or choose another folder." : "Ask the user for the folder again, with mode readwrite.",
    },
    { cause: error },
  );
}

/** Writes files into a folder by its path (Node) or its handle (pages). Throws what `writeFolder` and `writePageFolder` throw. */
export const writeInto = (
  folder: string | PageFolder,
  files: ReadonlyMap<string, FileContent>,
  options: FolderOptions,
): Promise<void> => {
  if (typeof folder === "string") return writeFolder(folder, files, options);
  if (!isPageFolder(folder)) throw noFolder(folder);
  return writePageFolder(folder, files, options);
};
