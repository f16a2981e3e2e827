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
   * large enough. Software drivers emulate workgroup memory and barriers, at more than the reads cost that they save. `panels`: by one
   * invocation that copies an operand into memory of its own.
   */
  readonly tiles: "registers" | "workgroups" | "panels";
  /** `one`: all values of a program that fits are in one buffer (see `layout/regions.ts`). */
  readonly memory: "one" | "many";
  /** What differs from the measurements of its kind. */
  readonly tuning?: Partial<Tuning>;
}

/** Thresholds and prices, measured on devices of a kind. */
export interface Tuning {
  /** Elements below which nothing counts but that as many kernels as possible are the same: they are read one by one, and extents are words. */
  readonly tinyElements: number;
  /** Products (multiply-adds of scalars) below which the same holds for contractions: one element per invocation. */
  readonly tinyContraction: number;
  /** Products below which a short text, quick to compile, is worth more than a fast kernel. Drivers of GPUs compile quickly. */
  readonly smallContraction: number;
  /** Elements of the tile of such a contraction. */
  readonly smallTile: number;
  /** Elements of a register tile: more would spill registers. */
  readonly largestTile: number;
  /** Elements of a tile whose loop takes four contracted elements a turn: its text is four times as long. */
  readonly unrolledTile: number;
  /** How much slower an unrolled loop is than its loads say. */
  readonly unrollPrice: number;
  /** Ops per element from which the text of an epilogue is longer than that of the loop, so that the tile is halved. */
  readonly longEpilogue: number;
  /**
   * Whether an invocation copies the sizes of its part, in a loop, before it uses them. SwiftShader compiles every read whose place depends on
   * the invocation once per lane, with branches: with one such read instead of one per size it takes a quarter of the time.
   */
  readonly copiesSizes: boolean;
  /** Elements of a tile from which results are written in a loop: as one text per element they take long to compile. */
  readonly loopedResults: number;
  /** Rows from which an invocation for each keeps the device busy: sharing rows would only add barriers. */
  readonly busyRows: number;
  /** What it costs that a workgroup adds up its numbers in a tree, in turns of a loop over columns: each barrier is paid by everybody. */
  readonly treePrice: number;
  /**
   * The same by subgroups, with two barriers instead of one per level. On software drivers (subgroups of 8) both took the same time; on GPUs it
   * has not been measured: just below that of a tree.
   */
  readonly subgroupPrice: number;
  /** Whether sums of a tile that wait for something else do so in memory (see `schedule/tile-sums.ts`). */
  readonly parksSums: boolean;
  /** Rows below which elementwise work behind a reduction is spread better in a kernel of its own. */
  readonly leastRows: number;
  /** Sums that one register tile holds for every element: more would spill. */
  readonly mostAccumulators: number;
  /**
   * Values that one kernel computes: what is added up over all modules (a bank that they share, a penalty of each) goes in several kernels, so that
   * none grows with the model. SwiftShader compiles 24 products in one kernel in three seconds, 48 in half a minute, and 96 not at all.
   */
  readonly mostMembers: number;
  /** Tiles of a panel: eight vectors of four sums, which with their operands fill sixteen registers. */
  readonly panelTile: { readonly rows: number; readonly columns: number };
  /** Rows from which copying a panel is made up for; no workgroup has less where it can be helped. */
  readonly panelRows: number;
}

const never = Number.MAX_SAFE_INTEGER;

export const tunings: Readonly<Record<Target["kind"], Tuning>> = {
  cpu: {
    tinyElements: 2_048,
    tinyContraction: 100_000,
    smallContraction: 500_000,
    smallTile: 16,
    largestTile: 64,
    unrolledTile: 16,
    unrollPrice: 1.5,
    longEpilogue: 5,
    copiesSizes: true,
    loopedResults: 4,
    parksSums: false,
    busyRows: 8,
    treePrice: 960,
    subgroupPrice: 960,
    leastRows: 4,
    mostAccumulators: 2,
    mostMembers: 24,
    panelTile: { rows: 4, columns: 8 },
    panelRows: 16,
  },
  gpu: {
    tinyElements: 2_048,
    tinyContraction: 100_000,
    smallContraction: 0,
    smallTile: 16,
    largestTile: 64,
    unrolledTile: 16,
    unrollPrice: 1.5,
    longEpilogue: 5,
    copiesSizes: false,
    loopedResults: never,
    parksSums: false,
    busyRows: never,
    treePrice: 15.5,
    subgroupPrice: 15.25,
    leastRows: 4,
    mostAccumulators: 2,
    mostMembers: 24,
    panelTile: { rows: 4, columns: 8 },
    panelRows: 16,
  },
};

export const tuningOf = ({ kind, tuning = {} }: Pick<Target, "kind" | "tuning">): Tuning => ({
  ...tunings[kind],
  ...tuning,
});

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

/** The feature of engines that add products without rounding in between. */
export const relaxedSimd = "relaxed-simd";

/** Processors by WebAssembly: one invocation a workgroup, one memory, kernels specialised to their sizes (see `wasm/`). */
export const wasmTarget: Target = {
  kind: "cpu",
  limits: {
    maxStorageBuffersPerShaderStage: 32,
    maxStorageBufferBindingSize: 2 ** 32 - 65536,
    maxComputeInvocationsPerWorkgroup: 1,
    maxComputeWorkgroupStorageSize: 2 ** 28,
    maxComputeWorkgroupsPerDimension: 2 ** 31 - 1,
    minStorageBufferOffsetAlignment: 64,
  },
  largestBinding: 2 ** 32 - 65536,
  features: [],
  workgroup: 1,
  parallelism: 2,
  layout: "row-major",
  tiles: "panels",
  memory: "many",
  tuning: {
    tinyElements: 4,
    tinyContraction: 64,
    smallContraction: 0,
    largestTile: 32,
    unrollPrice: 8,
    longEpilogue: never,
    loopedResults: never,
    parksSums: true,
    busyRows: 1,
  },
};

/** Whether kernels are printed as WebAssembly too: there a workgroup is one invocation. */
export const isForProcessors = ({ limits }: Pick<Target, "limits">): boolean =>
  limits.maxComputeInvocationsPerWorkgroup === 1;

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
