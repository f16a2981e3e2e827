/**
 * What codegen knows of a device: plain data, made from an adapter's facts or one of the presets. Everything that decides what a kernel
 * looks like is here or in the graph, so that code generation is a pure function.
 */

export interface TargetLimits {
  /** Storage buffers that one kernel may bind. */
  readonly maxStorageBuffersPerShaderStage: number;
  /** Bytes of one storage binding. */
  readonly maxStorageBufferBindingSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  /** Bytes of workgroup memory. */
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeWorkgroupsPerDimension: number;
  /** Alignment of binding offsets in bytes. */
  readonly minStorageBufferOffsetAlignment: number;
}

export interface Target {
  /** `cpu`: a software driver, where barriers and workgroup memory cost more than they save; `gpu`: anything else. */
  readonly kind: "cpu" | "gpu";
  readonly limits: TargetLimits;
  /**
   * Bytes that one binding can hold on this very device. Plans keep within `limits`, so that they run anywhere; only a tensor that is
   * larger than any portable binding (the head of a large vocabulary) makes use of this.
   */
  readonly largestBinding: number;
  readonly features: readonly string[];
  /** Invocations of a workgroup where a schedule is free to choose. */
  readonly workgroup: number;
  /** Invocations that keep the device busy: register tiles shrink until a contraction has that many. */
  readonly parallelism: number;
  /** How values are laid out that only kernels see: `inner-major` keeps tokens innermost (see `schedule/choose-order.ts`), at the cost of a second copy of weights. */
  readonly layout: "row-major" | "inner-major";
  /**
   * How contractions are tiled: `registers` only, or in `workgroups` that share what they read in workgroup memory where the result is
   * large enough. Software drivers emulate workgroup memory and barriers, at more than the reads cost that they save.
   */
  readonly tiles: "registers" | "workgroups";
  /** `one`: all values of a program that fits are in one buffer (see `layout/regions.ts`). */
  readonly memory: "one" | "many";
}

/** The limits that every WebGPU device has. */
export const defaultLimits: TargetLimits = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 134217728,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeWorkgroupsPerDimension: 65535,
  minStorageBufferOffsetAlignment: 256,
};

/** A GPU with WebGPU's default limits. */
export const defaultTarget: Target = {
  kind: "gpu",
  limits: defaultLimits,
  largestBinding: defaultLimits.maxStorageBufferBindingSize,
  features: [],
  workgroup: 64,
  parallelism: 4096,
  layout: "row-major",
  tiles: "workgroups",
  memory: "many",
};

/** A software driver (lavapipe, SwiftShader). */
export const cpuTarget: Target = {
  kind: "cpu",
  limits: defaultLimits,
  largestBinding: defaultLimits.maxStorageBufferBindingSize,
  features: [],
  workgroup: 16,
  parallelism: 64,
  layout: "inner-major",
  tiles: "registers",
  memory: "one",
};

/** What a preset is chosen by, and what only the device itself can tell. */
export interface DeviceFacts {
  readonly software: boolean;
  readonly features?: readonly string[];
  readonly limits?: Readonly<Record<string, number>>;
}

/** The target of an adapter: a preset by kind, with what the device can bind. */
export function targetOf({ software, features = [], limits = {} }: DeviceFacts): Target {
  const preset = software ? cpuTarget : defaultTarget;
  const { maxStorageBufferBindingSize: own = 0, maxBufferSize: buffer = own } = limits;
  return { ...preset, largestBinding: Math.max(preset.largestBinding, Math.min(own, buffer)), features: [...features] };
}
