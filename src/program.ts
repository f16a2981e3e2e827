/**
 * What `compile` makes and executors run. Plain data: no device, no tensors.
 *
 * A program is a set of *stages*, each a tensor-level graph. Stages meet in named *storage*: flat f32 buffers that outlive a run.
 * A port or an output of a stage is bound by its name to a slice of storage (`bindings`); a port without a binding is fed at every run
 * (role `input`), or is a weight or buffer that is uploaded once.
 *
 * Stages of a training program, run in this order in one submit: `prepare` (once at start: what depends on frozen weights only),
 * `project` (projections of parameters, in place), `micro` (forward, backward: outputs `loss`, `logits` if asked, and `grad.<param>`),
 * `update` (clipping, AdamW on the flat buffers, in place). With accumulation `micro` runs several times and `accumulate` adds gradients.
 * Evaluation: `forward`, and `predict` with weights drawn from a posterior. Merging and fresh adapters are graphs beside the stages: `merge` has one output per changed base tensor, named by
 * its file key, `init` one per trained tensor.
 */
import type { Diagnostic } from "./ir/diagnostics.ts";
import type { Graph } from "./ir/graph.ts";
import type { DType } from "./ir/types.ts";
import type { ModelDescription, ModelInput, VirtualTokens } from "./models/model.ts";

export type StageName = "prepare" | "project" | "forward" | "predict" | "micro" | "accumulate" | "update" | "merge";

export interface Stage {
  readonly name: StageName;
  readonly graph: Graph;
}

/** A slice of a storage buffer, in f32 elements; `offset` is a multiple of 64 (256 bytes). */
export interface StorageSlice {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
}

export interface StorageBuffer {
  readonly name: string;
  /** Number of f32 elements. */
  readonly size: number;
}

export interface ProgramStorage {
  /** `params`, `grads`, `moment1`, `moment2`, `derived` (results of `prepare`), `status`. */
  readonly buffers: readonly StorageBuffer[];
  /** By port name (params, derived values) and by output name (`grad.<param>`, derived values, `status`). */
  readonly bindings: Readonly<Record<string, StorageSlice>>;
}

/** What an executor runs. An executor may want more (the WebGPU one makes kernels and a plan from it, or is given them). */
export interface ExecutableProgram {
  readonly stages: readonly Stage[];
  readonly storage: ProgramStorage;
}

/**
 * - `top_k`: of every vector along the last axis, logits of a softmax, the file keeps the `count` largest: their places under the key with
 *   `_topk_indices` behind it, and all but the last of their weights under `_topk_weights`.
 * - `on_rows`: the file holds the sum of the tensor, projected where it is, and of rows of the base tensor under the key `weight`.
 */
export type TensorCoding = TopKCoding | RowsCoding;

export interface TopKCoding {
  readonly name: "top_k";
  readonly count: number;
}

export interface RowsCoding {
  readonly name: "on_rows";
  readonly rows: readonly number[];
  readonly weight: string;
}

/**
 * How a file holds a tensor of a layer on patches of an image, where PEFT has a convolution: a `kernel` [r, in] is [r, ...patch], a
 * `pointwise` [out, r] is [out, r, 1, 1], `channels` are [1, n, 1, 1], and a `row` is [1, n]. The numbers are in the same order.
 */
export interface PatchForm {
  readonly name: "kernel" | "pointwise" | "channels" | "row";
  readonly patch: readonly number[];
}

/** How an adapter tensor is known outside: in checkpoints, gradients and optimizer state. */
export interface AdapterTensor {
  /** Port name and checkpoint key. */
  readonly key: string;
  readonly shape: readonly number[];
  /** `computed`: of parameters, for the file; no port has its name. */
  readonly role: "param" | "buffer" | "computed";
  readonly dtype: DType;
  /** The file beside the adapter's own that holds it. */
  readonly file?: "encoder";
  /** How a file holds it, when not in f32. */
  readonly fileDtype?: DType;
  /** Further keys under which the same tensor is saved, and those under which its transpose is. */
  readonly aliases: readonly string[];
  readonly turned?: readonly string[];
  /** False for what is never in a file. */
  readonly saved: boolean;
  /** Its integers are places in an array of this shape: a row per axis, increasing in row-major order. */
  readonly within?: readonly number[];
  /** The program is made of the numbers that the method's formula gives it (`AdapterPlan.data`): a file must hold the same. */
  readonly pinned?: boolean;
  /** How the file holds it, where that is not as it is. */
  readonly coding?: TensorCoding;
  readonly patchForm?: PatchForm;
  /** The base tensor that this is a trained copy of. */
  readonly copyOf?: string;
}

/** What an adapter reads of every sample, or of every token, of a batch. */
export interface AdapterInput extends ModelInput {
  /** Name of the option, and of the buffer, that gives the one number for all samples that merging wants; none where it differs by token. */
  readonly option?: string;
}

/** Configs of adapters that another one mixes, by the names that its config gives them. */
export type ExpertConfigs = Readonly<Record<string, unknown>>;

/** What a file says of a tensor before its numbers are read. */
export interface TensorHeader {
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
}

/** An adapter that another one mixes. */
export interface ExpertPlan {
  readonly name: string;
  /** Before the names of its ports. */
  readonly prefix: string;
  readonly trained: boolean;
  readonly plan: AdapterPlan;
}

/** Everything about the adapter of a program that is not in its graphs. */
export interface AdapterPlan {
  readonly peftType: string;
  readonly method: string;
  /** Text of the method's fragment; empty when there is none. */
  readonly source: string;
  /** `adapter_config.json` as it is written, and which of its fields Python writes as floats. */
  readonly savedConfig: Readonly<Record<string, unknown>>;
  readonly floatFields: ReadonlySet<string>;
  readonly fields: Readonly<Record<string, unknown>>;
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

export type ProgramMode = "train" | "infer" | "merge";

/** A program as executors, sessions and the inspector take it. */
export interface CompiledProgram extends ExecutableProgram {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length: number;
  /** What the adapter puts in front of the text; the logits cover `virtual.tokens`. */
  readonly virtual: VirtualTokens;
  /** Whether the graphs read `attention_mask`. */
  readonly mask: boolean;
  readonly model: ModelDescription;
  readonly modelConfig: Readonly<Record<string, unknown>>;
  /** Absent when the base model runs alone. */
  readonly adapter?: AdapterPlan;
  /** Initial values of the trained tensors by key; evaluated on the host. Lowered when first asked for. */
  readonly init?: () => Graph;
  /** What the adapter's file holds of its computed tensors, from parameters, by key; evaluated on the host. */
  readonly computed?: Graph;
  /** Merged base tensors by file key; run tensor by tensor, so it is not among the stages. Lowered when first asked for. */
  readonly merge?: () => Graph;
  readonly diagnostics: readonly Diagnostic[];
}
