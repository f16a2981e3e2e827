/** PEFT's adapter folders: `adapter_config.json`, `adapter_model.safetensors` and, for prompt encoders, `encoder.safetensors`. */
import type { HostTensor } from "../tensor.ts";
import { notFound } from "./errors.ts";
import { type FileTree, type FolderSource, openFolder, pathIn, readJson } from "./folder.ts";
import { type JsonObject, pythonJson } from "./json.ts";
import { type LoadOptions, openTensors, pickleError } from "./model.ts";
import { type OutputOptions, writeFolder } from "./output.ts";
import { encodeSafetensors, type SafetensorsFile } from "./safetensors.ts";

const configFile = "adapter_config.json";
const tensorFile = "adapter_model.safetensors";
const pickleFile = "adapter_model.bin";
const encoderFile = "encoder.safetensors";

export interface AdapterFiles {
  /** Path or URL as the user gave it, or `memory`. */
  readonly name: string;
  readonly config: JsonObject;
  readonly tensors: SafetensorsFile;
  readonly metadata: Readonly<Record<string, string>>;
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
  return { name: tree.name, config, tensors, metadata: tensors.metadata, tree, ...(encoder && { encoder }) };
}

/** What an adapter folder is made of. */
export interface AdapterContent {
  readonly config: JsonObject;
  /** Names of the config's fields whose numbers are floats in Python (`lora_dropout`), written `0.0`. */
  readonly floatFields?: ReadonlySet<string>;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** PEFT's `{"format":"pt"}` unless given. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly encoder?: ReadonlyMap<string, HostTensor>;
}

/** The files of an adapter folder, as PEFT writes them. */
export function encodeAdapter(adapter: AdapterContent): Map<string, Uint8Array> {
  const config = pythonJson(adapter.config, adapter.floatFields);
  const files = new Map([
    [configFile, new TextEncoder().encode(config)],
    [tensorFile, encodeSafetensors(adapter.tensors, adapter.metadata)],
  ]);
  if (adapter.encoder !== undefined) files.set(encoderFile, encodeSafetensors(adapter.encoder));
  return files;
}

/** Writes an adapter folder whole or not at all. Throws what `writeFolder` throws. */
export async function saveAdapter(folder: string, adapter: AdapterContent, options: OutputOptions = {}): Promise<void> {
  // An encoder of the adapter that was here before does not belong to this one.
  const obsolete = adapter.encoder === undefined ? [encoderFile] : [];
  await writeFolder(folder, encodeAdapter(adapter), { ...options, obsolete });
}
