/** Stages, and the storage in which they meet. */
import type { Graph } from "../ir/graph.ts";
import { remembered } from "../ir/remember.ts";

/** Stages that hold the model. */
export type MainStage = "micro" | "forward" | "predict";

export type StageName =
  | MainStage
  | (typeof parameterStages)[MainStage]
  | "prepare"
  | "project"
  | "accumulate"
  | "parameters_backward"
  | "update"
  | "merge";

/** The stage that makes what a stage reads and parameters alone decide; where it has none the program lacks it. */
export const parameterStages = {
  micro: "micro_parameters",
  forward: "forward_parameters",
  predict: "predict_parameters",
} as const;

export const isMainStage = (name: StageName): name is MainStage => Object.hasOwn(parameterStages, name);

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
  /** `params`, `grads`, `moment1`, `moment2`, `derived` (results of `prepare`), `hoisted` (of a stage in `parameterStages`), `status`. */
  readonly buffers: readonly StorageBuffer[];
  /** By port name (params, derived values) and by output name (`grad.<param>`, derived values, `status`). */
  readonly bindings: Readonly<Record<string, StorageSlice>>;
}

const slices = new WeakMap<ProgramStorage, ReadonlyMap<string, StorageSlice>>();

/** The slice that a name stands for: a binding, or else a whole buffer; undefined when it is neither. */
export const sliceOf = (storage: ProgramStorage, name: string): StorageSlice | undefined =>
  remembered(slices, storage, () => {
    const whole = storage.buffers.map(({ name: buffer, size }) => [buffer, { buffer, offset: 0, size }] as const);
    return new Map<string, StorageSlice>([...whole, ...Object.entries(storage.bindings)]);
  }).get(name);

/** What an executor runs. An executor may want more (the WebGPU one makes kernels and a plan from it, or is given them). */
export interface ExecutableProgram {
  readonly stages: readonly Stage[];
  readonly storage: ProgramStorage;
}
