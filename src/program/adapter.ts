/** What a program says of its adapter beside its graphs, and what an adapter is compiled from. */
import type { Graph } from "../ir/graph.ts";
import type { HeadLabels } from "../models/choose-head.ts";
import type { ModelInput } from "../models/model.ts";
import type { AdapterTensor } from "./tensors.ts";

/** What an adapter reads of every sample, or of every token, of a batch. */
export interface AdapterInput extends ModelInput {
  /** Name of the option, and of the buffer, that gives the one number for all samples that merging wants; none where it differs by token. */
  readonly option?: string;
}

/** Configs of adapters that another one mixes, by the names that its config gives them. */
export type ExpertConfigs = Readonly<Record<string, unknown>>;

/** What a file says of a tensor before its numbers are read. */
interface TensorHeader {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** An adapter's config, and those of the adapters that it mixes. */
export interface AdapterConfigs {
  readonly config: unknown;
  /** The tensors of its file by key; absent where there is none. */
  readonly held?: ReadonlyMap<string, TensorHeader> | undefined;
  readonly experts?: ExpertConfigs | undefined;
  /** Its folder has `encoder.safetensors`. */
  readonly encoder?: boolean;
  /** What its folder tells of its head. */
  readonly head?: HeadLabels | undefined;
}

/** An adapter that another one mixes. */
export interface ExpertPlan {
  readonly name: string;
  /** Before the names of its ports. */
  readonly prefix: string;
  readonly trained: boolean;
  readonly plan: AdapterPlan;
}

/** What is special about the files of a method. Tensors are named by the last parts of their keys. */
export interface FileRules {
  /** Tensors that are rebuilt from the config where a file lacks them. */
  readonly rebuilt?: readonly string[];
  /** The config field that says whether files hold these. A file that lacks them although it says so is told with a warning. */
  readonly heldIf?: string;
  /** PEFT's error for such a file, where it refuses it. */
  readonly missing?: string;
  /** Tensors that mean nothing here and are written back as they were read. */
  readonly carried?: readonly string[];
  /** A part of keys that files of an older PEFT have, which are refused with this message. */
  readonly old?: { readonly part: string; readonly message: string; readonly expected: string };
}

/** Everything about the adapter of a program that is not in its graphs. */
export interface AdapterPlan {
  readonly peftType: string;
  readonly method: string;
  /** Text of the method's fragment; empty when there is none. */
  readonly source: string;
  /** The fragments that it is made of, with the file that a node's `location` names and the number of the first line there. */
  readonly fragments: readonly { readonly file: string; readonly line: number; readonly text: string }[];
  /** `adapter_config.json` as it is written, and which of its fields Python writes as floats. */
  readonly savedConfig: Readonly<Record<string, unknown>>;
  readonly floatFields: ReadonlySet<string>;
  readonly fields: Readonly<Record<string, unknown>>;
  /** What is special about the method's files. */
  readonly fileRules?: FileRules | undefined;
  readonly tensors: readonly AdapterTensor[];
  readonly inputs: readonly AdapterInput[];
  /** Tensors of the base that the file of a fresh adapter holds unchanged: key in that file, and in the base's. */
  readonly frozen: readonly { readonly key: string; readonly weight: string }[];
  /** Every key under which a file may hold a tensor that takes the place of one of the base, with the key of that one in the base's file. */
  readonly baseKeys: ReadonlyMap<string, string>;
  /** The tensors of the file that it was compiled for. */
  readonly held?: AdapterConfigs["held"];
  /** Data of buffers that are made on the host (regenerated projections, index tables), by port name. */
  readonly data: ReadonlyMap<string, Float32Array | Int32Array>;
  /** Numbers of this adapter that are inputs of the program, by port name, and shapes of tensors that it holds padded with zeros. */
  readonly settings: ReadonlyMap<string, number>;
  readonly padded: ReadonlyMap<string, readonly number[]>;
  /** Paths of the adapted modules. */
  readonly sites: readonly string[];
  /** Whether a parameter is projected at the start of every step. */
  readonly projects: boolean;
  /** Where the adapter says what is learned: the labels i32[batch, virtual tokens + length] that it makes of a batch, output `labels`. */
  readonly labels?: Graph;
  /** Adapters that it mixes, in their order, and the config field that names them. */
  readonly experts: readonly ExpertPlan[];
  readonly expertsFrom?: string | undefined;
  /** What of a forward pass can be read afterwards: names of outputs, bound to storage. */
  readonly reports: readonly string[];
  /** Numbers that merging is given, by the name of their buffer. */
  readonly options: readonly { readonly name: string; readonly size: number }[];
  /** What would train lies in `encoder.safetensors`, which was not there: the adapter can be used, not trained. */
  readonly lacksEncoder: boolean;
}

/** Before the names of the ports of one of several adapters that are in use together, by its place. */
export const placePrefix = (place: number): string => `${place}:`;
