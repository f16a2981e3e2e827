/** PEFT's adapter folders: `adapter_config.json`, `adapter_model.safetensors` and, for prompt encoders, `encoder.safetensors`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { AdapterConfigs, ExpertConfigs } from "../../program.ts";
import type { HostTensor } from "../tensor.ts";
import { notFound } from "./errors.ts";
import { type FileTree, type FolderSource, folderIn, openFolder, pathIn, readJson } from "./folder.ts";
import { type JsonObject, pythonJson } from "./json.ts";
import { type LoadOptions, openTensors, pickleError } from "./model.ts";
import { type OutputOptions, writeFolder } from "./output.ts";
import { encodeSafetensors, type SafetensorsFile } from "./safetensors.ts";

const configFile = "adapter_config.json";
const tensorFile = "adapter_model.safetensors";
const pickleFile = "adapter_model.bin";
const encoderFile = "encoder.safetensors";
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
  readonly tree: FileTree;
}

/** Opens an adapter folder. Throws `FILE-NOT-FOUND`, `FILE-JSON`, `FILE-PICKLE`, `FILE-SAFETENSORS-*`. */
export async function readAdapter(source: FolderSource, options: LoadOptions = {}): Promise<AdapterFiles> {
  const tree = await openFolder(source);
  const config = await readJson(tree, configFile, options);
  const tensors = await openTensors(tree, tensorFile, options);
  if (tensors === undefined) {
    if ((await tree.open(pickleFile)) !== undefined) throw pickleError(pathIn(tree, pickleFile));
    throw notFound(pathIn(tree, tensorFile), `An adapter folder has ${configFile} and ${tensorFile}.`);
  }
  const encoder = await openTensors(tree, encoderFile, options);
  const experts = await readExperts(tree, config, options);
  return {
    name: tree.name,
    config,
    tensors,
    metadata: tensors.metadata,
    tree,
    ...(encoder && { encoder }),
    ...(experts && { experts }),
  };
}

/** Whether something is an adapter that `readAdapter` read. */
export const isRead = (adapter: unknown): adapter is AdapterFiles =>
  typeof adapter === "object" && adapter !== null && "tensors" in adapter && "config" in adapter && "tree" in adapter;

/** The adapters that a config names for mixing; their paths are relative to its folder. Undefined where it names none. */
export async function readExperts(
  tree: FileTree,
  config: JsonObject,
  options: LoadOptions = {},
): Promise<ReadonlyMap<string, AdapterFiles> | undefined> {
  const named = config[expertsField];
  if (typeof named !== "object" || named === null || Array.isArray(named)) return undefined;
  const experts = new Map<string, AdapterFiles>();
  for (const [name, path] of Object.entries(named)) {
    if (typeof path !== "string") {
      throw new WebpeftError("CONFIG-FIELD-TYPE", {
        message: "the config names an adapter by something that is no path",
        where: `${pathIn(tree, configFile)}: ${expertsField}.${name}`,
        expected: "the path of a folder",
        got: JSON.stringify(path),
      });
    }
    experts.set(name, await readAdapter(await folderIn(tree, path), options));
  }
  return experts;
}

/** What `compile` needs of an adapter that was read. */
export const configsOf = ({
  config,
  encoder,
  experts = new Map<string, AdapterFiles>(),
}: AdapterFiles): AdapterConfigs => ({
  config,
  encoder: encoder !== undefined,
  experts: expertConfigs(experts),
});

/** Configs of adapters by their names. */
export const expertConfigs = (experts: ReadonlyMap<string, AdapterFiles> = new Map()): ExpertConfigs =>
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
  if (adapter.encoder !== undefined) files.set(encoderFile, encodeSafetensors(adapter.encoder));
  for (const [path, inner] of adapter.folders ?? [])
    for (const [name, bytes] of encodeAdapter(inner)) files.set(`${path}/${name}`, bytes);
  return files;
}

/** Writes an adapter folder whole or not at all. Throws what `writeFolder` throws. */
export async function saveAdapter(folder: string, adapter: AdapterContent, options: OutputOptions = {}): Promise<void> {
  // An encoder of the adapter that was here before does not belong to this one.
  const obsolete = adapter.encoder === undefined ? [encoderFile] : [];
  await writeFolder(folder, encodeAdapter(adapter), { ...options, obsolete });
}
