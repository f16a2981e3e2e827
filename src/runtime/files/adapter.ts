/** PEFT's adapter folders: `adapter_config.json`, `adapter_model.safetensors` and, for prompt encoders, `encoder.safetensors`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { checkExpertName } from "../../methods/config/index.ts";
import { configuredLabels, type HeadLabels } from "../../models/choose-head.ts";
import type { AdapterConfigs, ExpertConfigs } from "../../program/index.ts";
import { checkOptions, record } from "../options.ts";
import {
  adapterConfig as configFile,
  type FileTree,
  type FolderSource,
  folderIn,
  missingFile,
  openFolder,
  pathIn,
  readFolderConfig,
  readText,
} from "./folder.ts";
import { withFormerExperts } from "./former-experts.ts";
import { isJsonObject, type JsonObject, parseJsonObject, pythonJson } from "./json.ts";
import { type LoadOptions, loadChecks, openTensors, pickleError } from "./model.ts";
import type { OutputOptions } from "./output.ts";
import { type PageFolder, writeInto } from "./page-folder.ts";
import { encodeSafetensors, type SafetensorsFile } from "./safetensors.ts";
import type { HostTensor } from "./tensor.ts";

const tensorFile = "adapter_model.safetensors";
const pickleFile = "adapter_model.bin";
export const encoderFile = "encoder.safetensors";
/** Fields of a model's `config.json` for a head that the base model's files do not have: PEFT's files have no place for them, and it reads no others. */
const headFile = "head.json";
/** Names of the files of an adapter's folder. */
export const adapterFiles: readonly string[] = [configFile, tensorFile, pickleFile, encoderFile, headFile];
/** Files that a checkpoint has beside its adapter: the record of the run, and the state of its optimizer. */
export const [recordFile, stateFile] = ["training.json", "optimizer.safetensors"] as const;
export const checkpointFiles: readonly string[] = [recordFile, stateFile];
/** The field in which PEFT's configs name other adapters: an object of folders by name. */
const expertsField = "adapters";

export interface AdapterFiles {
  /** Path or URL as the user gave it, or `memory`. */
  readonly name: string;
  readonly config: JsonObject;
  readonly tensors: SafetensorsFile;
  readonly metadata: Readonly<Record<string, string>>;
  /** Adapters that it mixes, by the names that its config gives them. */
  readonly experts?: ReadonlyMap<string, AdapterFiles>;
  /** The trained prompt encoder, where the folder has it. */
  readonly encoder?: SafetensorsFile;
  /** What is told of its head, where the folder has that. */
  readonly head?: HeadLabels;
  readonly tree: FileTree;
}

/** Adapters that are mixed, by the names that a config gives them. */
export type ExpertSources = Readonly<Record<string, FolderSource | AdapterFiles>>;

export interface AdapterOptions extends LoadOptions {
  /** Folders of the adapters that the config names, in place of the paths that it gives. */
  readonly experts?: ExpertSources;
}

/** Opens an adapter folder. Throws `FILE-NOT-FOUND`, `FILE-JSON`, `FILE-PICKLE`, `FILE-SAFETENSORS-*`, and what `readExperts` throws. */
export async function readAdapter(source: FolderSource, options: AdapterOptions = {}): Promise<AdapterFiles> {
  checkOptions(options, { ...loadChecks, experts: record }, "FILE-OPTION");
  const own = await readOne(await openFolder(source), options);
  const experts = await readExperts(own.tree, own.config, options);
  return { ...own, ...(experts && { experts }) };
}

/** An adapter without those that it mixes. */
async function readOne(tree: FileTree, options: LoadOptions): Promise<AdapterFiles> {
  const config = await readFolderConfig(tree, "adapter", options);
  const file = await openTensors(tree, tensorFile, options);
  if (file === undefined) {
    if ((await tree.open(pickleFile)) !== undefined) throw pickleError(pathIn(tree, pickleFile));
    throw missingFile(tree, tensorFile, `An adapter folder has ${configFile} and ${tensorFile}.`);
  }
  const tensors = withFormerExperts(file);
  const encoder = await openTensors(tree, encoderFile, options);
  const head = await readHead(tree, options);
  const more = { ...(encoder && { encoder }), ...(head && { head }) };
  return { name: tree.name, config, tensors, metadata: tensors.metadata, tree, ...more };
}

/** Throws `FILE-JSON` for what is no object. */
async function readHead(tree: FileTree, options: LoadOptions): Promise<HeadLabels | undefined> {
  const text = await readText(tree, headFile, options);
  return text === undefined ? undefined : configuredLabels(parseJsonObject(text, pathIn(tree, headFile)));
}

/** The same as a config has it. */
function headConfig({ labels, problem }: HeadLabels): JsonObject {
  const names = typeof labels === "number" || labels === undefined ? [] : labels;
  return {
    ...(names.length === 0 ? {} : { id2label: Object.fromEntries(names.entries()) }),
    ...(problem === undefined ? {} : { problem_type: problem }),
  };
}

/** Whether something is an adapter that `readAdapter` read. */
export const isRead = (adapter: unknown): adapter is AdapterFiles =>
  typeof adapter === "object" && adapter !== null && "tensors" in adapter && "config" in adapter && "tree" in adapter;

/** The folders of other adapters by name, of a config that mixes some. */
function namedExperts(config: JsonObject): [string, unknown][] {
  const named = config[expertsField];
  return isJsonObject(named) ? Object.entries(named) : [];
}

/**
 * The adapters that a config names for mixing; their paths lead to folders inside of its own. Undefined where it names none. Throws
 * `CONFIG-FIELD-TYPE` and `CONFIG-EXPERT-NAME` for what names no folder, `FILE-PATH` for one outside, `CONFIG-EXPERTS-NESTED` for an
 * adapter that mixes others itself, as one does that leads back to itself.
 */
export async function readExperts(
  tree: FileTree,
  config: JsonObject,
  options: AdapterOptions = {},
): Promise<ReadonlyMap<string, AdapterFiles> | undefined> {
  const named = namedExperts(config);
  const { experts: given = {} } = options;
  for (const name of Object.keys(given)) if (!named.some(([known]) => known === name)) throw notNamed(tree, name);
  if (!isJsonObject(config[expertsField])) return undefined;
  const experts = new Map<string, AdapterFiles>();
  for (const [name, path] of named) {
    checkExpertName(name, pathIn(tree, configFile));
    const expert = await (Object.hasOwn(given, name)
      ? readGiven(given[name]!, options)
      : readInner(tree, name, path, options));
    if (namedExperts(expert.config).length > 0) throw nested(expert.name, name);
    experts.set(name, expert);
  }
  return experts;
}

const readGiven = async (source: FolderSource | AdapterFiles, options: LoadOptions): Promise<AdapterFiles> =>
  isRead(source) ? source : readOne(await openFolder(source), options);

async function readInner(tree: FileTree, name: string, path: unknown, options: LoadOptions): Promise<AdapterFiles> {
  const where = `${pathIn(tree, configFile)}: ${expertsField}.${name}`;
  if (typeof path !== "string") {
    throw new WebpeftError("CONFIG-FIELD-TYPE", {
      message: "the config names an adapter by something that is no path",
      where,
      expected: "the path of a folder",
      got: JSON.stringify(path),
    });
  }
  const folder = await folderIn(tree, path).catch((error: unknown) => {
    if (!(error instanceof WebpeftError && error.code === "FILE-PATH")) throw error;
    throw new WebpeftError("FILE-PATH", {
      message: "the config names an adapter outside of its own folder",
      where,
      expected: "a folder inside of it, by its path from there",
      got: JSON.stringify(path),
      help: "name the folder yourself: --expert NAME=FOLDER, or { experts: { name: folder } } in calls",
    });
  });
  return readOne(folder, options);
}

function notNamed(tree: FileTree, name: string): WebpeftError {
  return new WebpeftError("CONFIG-EXPERTS", {
    message: "an adapter was given that the config does not mix",
    where: pathIn(tree, configFile),
    expected: `a name of its field ${expertsField}`,
    got: JSON.stringify(name),
  });
}

function nested(folder: string, name: string): WebpeftError {
  return new WebpeftError("CONFIG-EXPERTS-NESTED", {
    message: "an adapter that is mixed mixes others itself",
    where: `${folder}/${configFile}: ${expertsField}`,
    expected: "adapters that mix none",
    got: `${JSON.stringify(name)} mixes adapters`,
    help: "name the folders of the LoRAs that are to be mixed",
  });
}

/** What `compile` needs of an adapter that was read. */
export const configsOf = ({
  config,
  tensors,
  encoder,
  head,
  experts = new Map<string, AdapterFiles>(),
}: AdapterFiles): AdapterConfigs => ({
  config,
  head,
  held: tensors.tensors,
  encoder: encoder !== undefined,
  experts: configsByName(experts),
});

/** Configs of adapters by their names. */
export const configsByName = (experts: ReadonlyMap<string, AdapterFiles> = new Map()): ExpertConfigs =>
  Object.fromEntries([...experts].map(([name, { config }]) => [name, config]));

/** What an adapter folder is made of. */
export interface AdapterContent {
  readonly config: JsonObject;
  /** Names of the config's fields whose numbers are floats in Python (`lora_dropout`), written `0.0`. */
  readonly floatFields?: ReadonlySet<string>;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** PEFT's `{"format":"pt"}` unless given. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly encoder?: ReadonlyMap<string, HostTensor>;
  /** What the names of its tensors do not tell of its head. */
  readonly head?: HeadLabels | undefined;
  /** Other files of its folder, by name: a tokenizer, a chat template. */
  readonly beside?: ReadonlyMap<string, Uint8Array>;
  /** Further adapters, in folders of this one by their path. */
  readonly folders?: ReadonlyMap<string, AdapterContent>;
}

/** The files of an adapter folder, as PEFT writes them. */
export function encodeAdapter(adapter: AdapterContent): Map<string, Uint8Array> {
  const config = pythonJson(adapter.config, adapter.floatFields, expertsField);
  const files = new Map([
    [configFile, new TextEncoder().encode(config)],
    [tensorFile, encodeSafetensors(adapter.tensors, adapter.metadata)],
  ]);
  for (const [name, bytes] of adapter.beside ?? []) files.set(name, bytes);
  const head = headConfig(adapter.head ?? {});
  if (Object.keys(head).length > 0) files.set(headFile, new TextEncoder().encode(pythonJson(head)));
  if (adapter.encoder !== undefined) files.set(encoderFile, encodeSafetensors(adapter.encoder));
  for (const [path, inner] of adapter.folders ?? [])
    for (const [name, bytes] of encodeAdapter(inner)) files.set(`${path}/${name}`, bytes);
  return files;
}

/** Writes an adapter folder whole or not at all. Throws what `writeInto` throws. */
export async function saveAdapter(
  folder: string | PageFolder,
  adapter: AdapterContent,
  options: OutputOptions = {},
): Promise<void> {
  const files = encodeAdapter(adapter);
  // An encoder or a head of the adapter that was here before does not belong to this one.
  const obsolete = [encoderFile, headFile].filter((name) => !files.has(name));
  await writeInto(folder, files, { ...options, obsolete });
}
