/** A folder of files, wherever it is: on disk, in memory, behind a URL. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { shown } from "../options.ts";
import { notFound, readError, systemCode } from "./errors.ts";
import { type JsonObject, parseJsonObject } from "./json.ts";
import { checkLinks, checkPath } from "./paths.ts";
import { type ByteSource, blobSource, bytesSource, fileSource } from "./source.ts";
import { readWholeText } from "./text.ts";
import { type UrlOptions, urlSource } from "./url.ts";

/** The file by which an adapter's folder is known. */
export const adapterConfig = "adapter_config.json";

export interface FileTree {
  /** Path or URL as the user gave it. */
  readonly name: string;
  /** Names of the files in the folder itself, sorted; undefined where files can only be asked for by name (URLs). */
  list(): Promise<readonly string[] | undefined>;
  /** The file of that relative path, or undefined when there is none. */
  open(path: string, options?: UrlOptions): Promise<ByteSource | undefined>;
  /** What came instead of a file that `open` found missing, in words; undefined where nothing did. */
  instead?(path: string): string | undefined;
  /** A folder inside of this one by its path; where a tree has no such method, the files whose names begin with it. */
  folder?(path: string): Promise<FileTree>;
}

type FileData = Blob | Uint8Array | ArrayBuffer | string;
/** Files in memory by name; a string is text. */
export type FileRecord = Readonly<Record<string, FileData>>;

/** What a folder may be given as: a path (Node), a URL, files in memory, or a tree. */
export type FolderSource = string | URL | FileTree | FileRecord;

/** Throws `FILE-NOT-A-FOLDER` for what is none of these, and for a path that is a file; `FILE-NOT-FOUND`. */
export async function openFolder(source: FolderSource): Promise<FileTree> {
  if (typeof source !== "string" && (typeof source !== "object" || source === null)) throw noFolder(source);
  if (source instanceof URL) return source.protocol === "file:" ? nodeUrlTree(source) : urlTree(source.href);
  if (typeof source !== "string") return isTree(source) ? source : recordTree(source);
  if (/^https?:\/\//.test(source)) return urlTree(source);
  return isNode() ? nodeTree(source) : urlTree(new URL(source, globalThis.location?.href).href);
}

/** The source with copies of what is in memory, so that its owner may change it meanwhile; what was read or is elsewhere is left as it is. */
export function copiedSource<T>(source: T): T {
  const isRecord = typeof source === "object" && source !== null && Object.getPrototypeOf(source) === Object.prototype;
  if (!isRecord || typeof (source as unknown as FileTree).open === "function") return source;
  const copy = (data: unknown): unknown =>
    data instanceof Uint8Array || data instanceof ArrayBuffer ? data.slice() : data;
  return Object.fromEntries(Object.entries(source).map(([name, data]) => [name, copy(data)])) as T;
}

/** The error for what stands where a folder should. */
export const noFolder = (given: unknown): WebpeftError =>
  new WebpeftError("FILE-NOT-A-FOLDER", {
    message: "a folder was expected",
    expected: "a path, or what stands for a folder",
    got: shown(given),
  });

export const isNode = (): boolean => typeof process === "object" && typeof process.versions?.node === "string";
const isTree = (source: FileTree | FileRecord): source is FileTree => typeof source.open === "function";

async function nodeUrlTree(url: URL): Promise<FileTree> {
  const { fileURLToPath } = await import("node:url");
  return nodeTree(fileURLToPath(url));
}

/** Two words, as the Hub names models and adapters; a path may look the same. */
const hubName = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** A folder on disk. Throws `FILE-NOT-FOUND` when there is none, `FILE-NOT-A-FOLDER` when the path is a file. */
async function nodeTree(folder: string): Promise<FileTree> {
  const { readdir, stat } = await import("node:fs/promises");
  const { dirname, join } = await import("node:path");
  const known = await stat(folder).catch((error: unknown) => {
    throw systemCode(error) === "ENOENT"
      ? new WebpeftError("FILE-NOT-FOUND", {
          message: "there is no such folder",
          where: folder,
          ...(hubName.test(folder) && {
            help: `if it is a name of the Hub, give the address: https://huggingface.co/${folder}/resolve/main`,
          }),
        })
      : readError(error, folder);
  });
  if (!known.isDirectory()) {
    throw new WebpeftError("FILE-NOT-A-FOLDER", {
      message: "a folder was expected",
      where: folder,
      got: "a file",
      help: `if it is one of the folder's files, give the folder: ${dirname(folder)}`,
    });
  }
  return {
    name: folder,
    async folder(path) {
      await checkLinks(folder, checkPath(folder, path));
      return nodeTree(join(folder, path));
    },
    async list() {
      const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
        throw readError(error, folder);
      });
      // Links count: the Hub's cache folders consist of them.
      const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
      return files.sort();
    },
    async open(path) {
      const file = join(folder, checkPath(folder, path));
      try {
        return await fileSource(file);
      } catch (error) {
        if (error instanceof WebpeftError && error.code === "FILE-NOT-FOUND") return undefined;
        throw error;
      }
    },
  };
}

export function recordTree(files: FileRecord, name = "memory"): FileTree {
  return {
    name,
    list: async () => Object.keys(files).sort(),
    async open(path) {
      const data = Object.hasOwn(files, path) ? files[path] : undefined;
      if (data === undefined) return undefined;
      if (typeof data === "string") return bytesSource(path, new TextEncoder().encode(data));
      return data instanceof Blob ? blobSource(path, data) : bytesSource(path, data);
    },
  };
}

/** Files below a URL, which keeps its query (`?download=true`, tokens of signed addresses). */
function urlTree(prefix: string): FileTree {
  const base = new URL(prefix);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const pages = new Set<string>();
  return {
    name: prefix,
    list: async () => undefined,
    instead: (path) => (pages.has(path) ? "a web page (HTML): the server has no such file" : undefined),
    open(path, options) {
      const url = new URL(checkPath(prefix, path).split("/").map(encodeURIComponent).join("/"), base);
      url.search = base.search;
      return urlSource(url.href, { ...options, onPage: () => pages.add(path) });
    },
  };
}

/** A folder inside of a tree. Throws `FILE-PATH` for a path, or a link, that leads out of it. */
export async function folderIn(tree: FileTree, path: string): Promise<FileTree> {
  const inner = checkPath(tree.name, path.replace(/^(\.\/+)+(?=.)|\/+$/g, ""));
  if (tree.folder !== undefined) return tree.folder(inner);
  return {
    name: pathIn(tree, inner),
    list: async () => {
      const names = await tree.list();
      return names?.flatMap((name) => (name.startsWith(`${inner}/`) ? [name.slice(inner.length + 1)] : []));
    },
    instead: (name) => tree.instead?.(`${inner}/${name}`),
    open: (name, options) => tree.open(`${inner}/${name}`, options),
  };
}

/** The error for a file of a tree that has to be there. */
export const missingFile = (tree: FileTree, path: string, help?: string): WebpeftError =>
  notFound(pathIn(tree, path), help, tree.instead?.(path));

/** Where a file of a tree is, for messages. */
export const pathIn = (tree: FileTree, path: string): string => `${tree.name.replace(/\/+$/, "")}/${path}`;

/** A text file, or undefined when there is none. Throws `FILE-NOT-UTF8`, `FILE-TOO-LARGE`. */
export async function readText(tree: FileTree, path: string, options?: UrlOptions): Promise<string | undefined> {
  const source = await tree.open(path, options);
  if (source === undefined) return undefined;
  return readWholeText(source, () => source.name);
}

/** A kind of folder, by the JSON file that such a folder has. */
interface FolderKind {
  readonly config: string;
  /** What to do where a folder of this kind is wanted, and the file is missing. */
  readonly ifMissing: string;
  /** What to do where a folder of the other kind is wanted. */
  readonly ifOther: string;
}

const kinds = {
  model: {
    config: "config.json",
    ifMissing:
      "A model's folder has config.json and its weights; runs of transformers write such folders as checkpoint-N.",
    ifOther: "The folder holds a model: give it as the model (--model), and the adapter's folder as the adapter.",
  },
  adapter: {
    config: adapterConfig,
    ifMissing: `An adapter's folder has ${adapterConfig} and its tensors; runs of transformers write such folders as checkpoint-N.`,
    ifOther: "The folder holds an adapter: give it as the adapter (--adapter), and its base model as the model.",
  },
} satisfies Readonly<Record<string, FolderKind>>;

/**
 * The config that a folder of a kind has. Throws `FILE-NOT-FOUND` when there is none, telling whether the folder is of the other kind, and
 * `FILE-JSON` when it is no object.
 */
export async function readFolderConfig(
  tree: FileTree,
  kind: keyof typeof kinds,
  options?: UrlOptions,
): Promise<JsonObject> {
  const { config, ifMissing } = kinds[kind];
  const text = await readText(tree, config, options);
  if (text !== undefined) return parseJsonObject(text, pathIn(tree, config));
  const other = kinds[kind === "model" ? "adapter" : "model"];
  const isOther = (await tree.list())?.includes(other.config) === true;
  throw missingFile(tree, config, isOther ? other.ifOther : ifMissing);
}
