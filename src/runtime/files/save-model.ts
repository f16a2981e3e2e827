/** Writes a model (a merged one, a trained one) as a Hugging Face folder. */

import { type Checks, callable, checkOptions, flag, signal } from "../options.ts";
import { adapterConfig, type FileTree, isNode, openFolder, readText } from "./folder.ts";
import { isJsonObject, pythonJson, pythonJsonLike } from "./json.ts";
import { indexFile, type Model } from "./model.ts";
import { type FileContent, type FolderOptions, type OutputOptions, pieces } from "./output.ts";
import { type PageFolder, writeInto } from "./page-folder.ts";
import { torchMetadata } from "./safetensors.ts";
import { encodeHeader, type TensorPlan } from "./safetensors-header.ts";
import { asInFiles } from "./slices.ts";
import { textFiles } from "./text-files.ts";
import type { Weights } from "./weights.ts";

/** Files beside config and weights that make a folder usable: tokenizers, generation settings, the licence. */
const companions = ["generation_config.json", ...textFiles, "LICENSE"];

/** What a model's folder cannot hold beside it: `from_pretrained` of transformers loads that adapter, and its base in the model's place. */
export const excludedOfModels = {
  [adapterConfig]: "an adapter, which transformers would load in the place of the model",
};

export interface SaveModelOptions extends OutputOptions, Pick<FolderOptions, "check"> {
  /** Called after each tensor that was written, in the order of the weights. */
  readonly onProgress?: (written: number, total: number, key: string) => void;
}

const saveChecks: Checks<SaveModelOptions> = { overwrite: flag, signal, check: callable, onProgress: callable };

async function modelContents(
  model: Model,
  onProgress: SaveModelOptions["onProgress"],
): Promise<Map<string, FileContent>> {
  const files = new Map<string, FileContent>();
  files.set("config.json", await configText(model));
  for (const [name, content] of await companionFiles(model.tree)) files.set(name, content);
  files.set("model.safetensors", tensorPieces(asInFiles(model), onProgress));
  return files;
}

/**
 * Writes `config.json`, one `model.safetensors` (keys, order, shapes and dtypes as the weights give them; read and written one by one)
 * and copies of the tokenizer files, into a folder by its path (Node) or by its handle (pages). Whole or not at all; shards of a model that is
 * overwritten are removed from a folder by its path once the new one is there. An adapter in the folder is refused. Throws `FILE-OPTION`
 * and what `writeFolder`, `writePageFolder` and reading throw.
 */
export async function saveModel(
  model: Model,
  folder: string | PageFolder,
  options: SaveModelOptions = {},
): Promise<void> {
  checkOptions(options, saveChecks, "FILE-OPTION");
  const files = await modelContents(model, options.onProgress);
  const former = typeof folder === "string" && options.overwrite === true ? await shardsIn(folder) : [];
  await writeInto(folder, files, {
    ...options,
    obsolete: former.filter((name) => !files.has(name)),
    excluded: excludedOfModels,
  });
}

/**
 * What an overwritten model was stored in: the index of its shards, and the shards that it names in the folder itself, links as links. The
 * index comes first: while it is there, all that it names is. Where there is no folder yet there is nothing.
 */
async function shardsIn(folder: string): Promise<string[]> {
  if (!isNode()) return [];
  const read = async (): Promise<string | undefined> => readText(await openFolder(folder), indexFile);
  const text = await read().catch(() => undefined);
  if (text === undefined) return [];
  const named = shardNames(text);
  return [indexFile, ...new Set(named.filter((name) => /^[^/\\\0]+\.safetensors$/.test(name)))];
}

/** File names in an index; none where it is no index. */
function shardNames(text: string): string[] {
  try {
    const { weight_map: map } = JSON.parse(text) as { weight_map?: unknown };
    return isJsonObject(map) ? Object.values(map).filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

/** The files that `saveModel` writes as bytes by name, for pages; a model that is too large for that is written into a folder's handle. */
export async function modelFiles(model: Model): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, content] of await modelContents(model, undefined)) files.set(name, await joined(content));
  return files;
}

async function joined(content: FileContent): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of pieces(content)) parts.push(piece as Uint8Array<ArrayBuffer>);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The file as it was read where the config is unchanged, else as transformers formats it. */
async function configText(model: Model): Promise<string> {
  const original = model.tree && (await readText(model.tree, "config.json"));
  if (original !== undefined) {
    const parsed: unknown = JSON.parse(original);
    if (isJsonObject(parsed) && pythonJson(parsed) === pythonJson(model.config)) return original;
    if (isJsonObject(parsed)) return `${pythonJsonLike(model.config, original)}\n`;
  }
  return `${pythonJson(model.config)}\n`;
}

async function companionFiles(tree: FileTree | undefined): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  if (tree === undefined) return files;
  const listed = await tree.list();
  for (const name of companions) {
    if (listed !== undefined && !listed.includes(name)) continue;
    const source = await tree.open(name);
    if (source !== undefined) files.set(name, await source.read(0, source.size));
  }
  return files;
}

async function* tensorPieces(weights: Weights, onProgress: SaveModelOptions["onProgress"]): AsyncGenerator<Uint8Array> {
  const plans: TensorPlan[] = weights.keys().map((name) => ({ name, ...weights.info(name)! }));
  yield encodeHeader(plans, torchMetadata);
  for (const [done, plan] of plans.entries()) {
    const tensor = await weights.read(plan.name);
    const same = tensor.dtype === plan.dtype && tensor.shape.join() === plan.shape.join();
    if (!same) throw new Error(`the tensor ${plan.name} was announced as ${plan.dtype}[${plan.shape.join(",")}]`);
    yield tensor.bytes;
    onProgress?.(done + 1, plans.length, plan.name);
  }
}
