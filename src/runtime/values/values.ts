/** An adapter's numbers on the host: what reading, drawing and giving values makes, and what programs, merges and files are made of. */
import type { CompiledProgram } from "../../program/index.ts";
import type { AdapterContent } from "../files/adapter.ts";
import type { FileTree } from "../files/folder.ts";
import type { HostTensor } from "../files/tensor.ts";
import type { Numbers, TensorCodec } from "./codecs/codec.ts";

/** Tensors of an adapter by the keys of its file. */
export interface AdapterTensors {
  /** Of the file, for messages. */
  readonly name?: string;
  read(key: string): Promise<HostTensor>;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
}

/** Values by port name, and what a file held that must be written back unchanged. */
export interface AdapterValues {
  readonly params: ReadonlyMap<string, Float32Array>;
  readonly buffers: ReadonlyMap<string, Numbers>;
  /** Adapters that it mixes, as they were read; their numbers are among the others. */
  readonly mixed?: ReadonlyMap<string, MixedAdapter>;
  /** Tensors of the base model that its file holds and that differ from the base's own, by the base's keys. */
  readonly base?: ReadonlyMap<string, HostTensor>;
  /** Tensors as they were read, by file key: what does not train is written as it came. */
  readonly asRead: ReadonlyMap<string, HostTensor>;
  /** The adapter's folder, which may hold a tokenizer and a chat template. */
  readonly tree?: FileTree;
  /** How its files hold each of its tensors, by key. */
  readonly codecs: ReadonlyMap<string, TensorCodec>;
}

/** An adapter that another one mixes, as it was read. */
export interface MixedAdapter {
  readonly values: AdapterValues;
  /** Its files, for writing them elsewhere. */
  readonly content: AdapterContent;
}

/** A program with the values of one adapter, or of none. */
export interface LoadedProgram {
  readonly program: CompiledProgram;
  readonly values: AdapterValues;
}
