/** Base models: a Hugging Face folder wherever it is, or config and weights in memory. */
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import type { HeadLabels } from "../../models/choose-head.ts";
import { type Checks, callable, checkOptions, flag, signal } from "../options.ts";
import { declaredWeights } from "./declared.ts";
import {
  type FileTree,
  type FolderSource,
  missingFile,
  openFolder,
  pathIn,
  readFolderConfig,
  readText,
} from "./folder.ts";
import { duplicateKey, isJsonObject, type JsonObject, parseJsonObject } from "./json.ts";
import { FileProgress, type ProgressCallback } from "./progress.ts";
import { openSafetensors, type SafetensorsFile } from "./safetensors.ts";
import { type Slices, withSlices } from "./slices.ts";
import { type Stacks, withStacks } from "./stacks.ts";
import { withTiesOfFile } from "./ties.ts";
import { fileWeights, type MemoryWeight, memoryWeights, type Weights } from "./weights.ts";

export interface Model {
  /** Path or URL as the user gave it, or `memory`. */
  readonly name: string;
  /** `config.json`. */
  readonly config: JsonObject;
  readonly weights: Weights;
  /** How its files hold the tensors that they have in parts. */
  readonly stacks?: Stacks;
  /** How its files hold the tensors that they have as one. */
  readonly slices?: Slices;
  /** The folder with the other files (tokenizer, generation config); undefined for models in memory. */
  readonly tree?: FileTree;
  /** Paths of modules whose tensors no file has: those of a head that was drawn. */
  readonly drawn?: readonly string[];
  /** What its config says of the labels of a head that was chosen, and that its files do not have. */
  readonly head?: HeadLabels;
  /** What loading has to warn of; compiling the model tells it. */
  readonly diagnostics?: readonly Diagnostic[];
}

/** A model in memory. */
export interface MemoryModel {
  readonly config: JsonObject;
  readonly weights: Readonly<Record<string, MemoryWeight>>;
  readonly name?: string;
}

export interface LoadOptions {
  /** Stops loading, and later reads of weights from URLs. */
  readonly signal?: AbortSignal;
  /** Told when a file is opened and, as weights are read, of the bytes so far. */
  readonly progress?: ProgressCallback;
  /**
   * For compiling alone: tensor files may end behind their headers, and a folder without tensor files has the tensors that its config asks
   * for. What is not there throws when it is read.
   */
  readonly headersOnly?: boolean;
}

export const loadChecks: Checks<LoadOptions> = { signal, progress: callable, headersOnly: flag };

const singleFile = "model.safetensors";
export const indexFile = "model.safetensors.index.json";
const pickles = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/**
 * Opens a model: reads its config and the headers of its tensor files, and checks them. Weights are read when they are asked for, so a
 * model larger than the memory can be opened. `model.safetensors` goes before an index, as in transformers. Both ends of a tie are compared
 * where the files hold both: ends that differ are not tied.
 * Throws `FILE-NOT-FOUND`, `FILE-JSON`, `FILE-PICKLE`, `FILE-SAFETENSORS-*`, `FILE-INDEX*`, `FILE-SHARD-*`.
 */
export async function loadModel(source: FolderSource | MemoryModel, options: LoadOptions = {}): Promise<Model> {
  checkOptions(options, loadChecks, "FILE-OPTION");
  options.signal?.throwIfAborted();
  if (isMemoryModel(source)) {
    const { name = "memory", config, weights } = source;
    return withTiesOfFile(withSlices(withStacks<Model>({ name, config, weights: memoryWeights(weights) })));
  }
  const tree = await openFolder(source);
  const config = await readFolderConfig(tree, "model", options);
  const weights = await openWeights(tree, config, options);
  const model = withSlices(withStacks<Model>({ name: tree.name, config, weights, tree }));
  if (options.headersOnly !== true) return withTiesOfFile(model);
  // Without the numbers there is only what the config says.
  return withTiesOfFile(model).catch(() => model);
}

function isMemoryModel(source: FolderSource | MemoryModel): source is MemoryModel {
  return isJsonObject(source) && isJsonObject(source.config) && isJsonObject(source.weights);
}

async function openWeights(tree: FileTree, config: JsonObject, options: LoadOptions): Promise<Weights> {
  try {
    return fileWeights(tree.name, (await openSingle(tree, options)) ?? (await openShards(tree, options)));
  } catch (error) {
    const isMissing = error instanceof WebpeftError && ["FILE-NOT-FOUND", "FILE-SHARD-MISSING"].includes(error.code);
    if (isMissing && options.headersOnly === true) return declaredWeights(tree.name, config);
    throw error;
  }
}

async function openSingle(tree: FileTree, options: LoadOptions): Promise<SafetensorsFile[] | undefined> {
  const file = await openTensors(tree, singleFile, options);
  return file && [file];
}

/** Opens one tensor file of a folder, or gives undefined when there is none. Its reads report progress. */
export async function openTensors(
  tree: FileTree,
  path: string,
  options: LoadOptions = {},
): Promise<SafetensorsFile | undefined> {
  options.signal?.throwIfAborted();
  const progress = new FileProgress(tree.name, path, options.progress);
  const source = await tree.open(path, { ...options, onDownload: progress.download });
  if (source === undefined) return undefined;
  const file = await openSafetensors(source, options.headersOnly);
  progress.opened(source.size);
  let header = source.size;
  for (const { begin, end } of file.tensors.values()) header -= end - begin;
  progress.add("", header);
  return {
    ...file,
    async read(name) {
      options.signal?.throwIfAborted();
      const tensor = await file.read(name);
      progress.add(`tensor ${name}`, tensor.bytes.byteLength);
      return tensor;
    },
  };
}

async function openShards(tree: FileTree, options: LoadOptions): Promise<SafetensorsFile[]> {
  const index = await readIndex(tree, options);
  const names = [...new Set(index.values())].sort();
  const files = new Map<string, SafetensorsFile>();
  for (const name of names) {
    const file = await openTensors(tree, name, options);
    if (file === undefined) throw shardMissing(tree, name);
    files.set(name, file);
  }
  // Checked first: a key in two shards also contradicts the index, but says more.
  fileWeights(tree.name, [...files.values()]);
  checkIndex(tree, index, files);
  return [...files.values()];
}

/** The shard of each key. */
async function readIndex(tree: FileTree, options: LoadOptions): Promise<ReadonlyMap<string, string>> {
  const where = pathIn(tree, indexFile);
  const text = await readText(tree, indexFile, options);
  if (text === undefined) throw await noWeights(tree);
  const { weight_map: map } = parseJsonObject(text, where);
  const twice = duplicateKey(text);
  if (twice !== undefined) {
    const got = `${twice.join(": ")} twice`;
    throw new WebpeftError("FILE-INDEX-DUPLICATE", { message: "the index has a key twice", where, got });
  }
  if (!isJsonObject(map) || !Object.values(map).every((shard) => typeof shard === "string")) {
    const expected = "weight_map: file names by tensor key";
    throw new WebpeftError("FILE-INDEX", { message: "the index is malformed", where, expected });
  }
  return new Map(Object.entries(map as Record<string, string>));
}

async function noWeights(tree: FileTree): Promise<WebpeftError> {
  for (const name of pickles) {
    if ((await tree.open(name)) !== undefined) return pickleError(pathIn(tree, name));
  }
  return missingFile(tree, singleFile, `A model folder has ${singleFile}, or ${indexFile} with its shards.`);
}

/** Pickled files can run code when they are loaded, so they are not. */
export function pickleError(where: string): WebpeftError {
  return new WebpeftError("FILE-PICKLE", {
    message: "the weights are a pickled file, which webpeft does not read",
    where,
    expected: "safetensors",
    help: "Load it in Python and save it again: model.save_pretrained(folder, safe_serialization=True).",
  });
}

function shardMissing(tree: FileTree, shard: string): WebpeftError {
  return new WebpeftError("FILE-SHARD-MISSING", {
    message: "a shard that the index names is missing",
    where: pathIn(tree, shard),
    ...(tree.instead?.(shard) && { got: tree.instead(shard)! }),
    help: "Download the model again, with all of its files.",
  });
}

/** The index must name exactly what is in the shards. */
function checkIndex(
  tree: FileTree,
  index: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, SafetensorsFile>,
): void {
  const fail = (key: string, expected: string, got: string): WebpeftError =>
    new WebpeftError("FILE-INDEX-MISMATCH", {
      message: "the index and the shards disagree",
      where: `${pathIn(tree, indexFile)}: ${key}`,
      expected,
      got,
    });
  for (const [key, shard] of index) {
    if (!files.get(shard)!.tensors.has(key)) throw fail(key, `a tensor in ${shard}`, "none there");
  }
  for (const [shard, file] of files) {
    for (const key of file.tensors.keys()) {
      if (!index.has(key)) throw fail(key, "an entry in the index", `none, but a tensor in ${shard}`);
    }
  }
}
