/** What the rest of the runtime sees of a WebGPU device, and what `webpeft doctor` shows. Facts are plain JSON. */
import type { WebpeftError } from "../../ir/diagnostics.ts";

/** Where an adapter comes from: the host's own WebGPU, Dawn (npm `webgpu`) on the system's drivers, or Dawn on SwiftShader. */
export type DeviceSource = "navigator" | "dawn" | "swiftshader";

/** `hardware`, or which software driver; `software` is one that we do not know. */
export type AdapterKind = "hardware" | "lavapipe" | "swiftshader" | "software";

export interface AdapterFacts {
  readonly source: DeviceSource;
  readonly kind: AdapterKind;
  readonly software: boolean;
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** The graphics interface below WebGPU (`vulkan`, `metal`, `d3d12`), or `webgpu` where the host does not tell. */
  readonly backend: string;
}

/** What a compiler target is made from. The limits are those granted to the device, not those of the adapter. */
export interface TargetFacts {
  readonly kind: AdapterKind;
  readonly software: boolean;
  readonly vendor: string;
  readonly architecture: string;
  /** Sorted. */
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Smallest and largest number of invocations in a subgroup; 0 without the feature `subgroups`. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
}

export interface DeviceOptions {
  /**
   * `webgpu`: any adapter, the bundled SwiftShader at last. `auto`: only one that is worth taking before the CPU executor
   * (hardware); without one `DEVICE-NONE`.
   */
  readonly prefer: "auto" | "webgpu";
  readonly power?: "low-power" | "high-performance";
  readonly signal?: AbortSignal;
}

export interface OpenDevice {
  readonly device: GPUDevice;
  readonly adapter: AdapterFacts;
  readonly target: TargetFacts;
  /**
   * Awaits a promise of the device (`mapAsync`, `onSubmittedWorkDone`, `createComputePipelineAsync`, `popErrorScope`). Every
   * such promise must go through here: it fails as soon as the device is lost, reports errors that no scope took, and on software
   * drivers leaves the cores to the driver. Throws `DEVICE-LOST`, `DEVICE-VALIDATION`, `DEVICE-MEMORY`.
   */
  wait<T>(promise: Promise<T>): Promise<T>;
  /**
   * Runs synchronous calls that make buffers, bind groups or pipelines, and throws what the device says about them. `where` names
   * the thing made.
   */
  scoped<T>(where: string, make: () => T): Promise<T>;
  /** The first failure since the device was opened, if any. */
  failure(): WebpeftError | undefined;
  /** Destroys the device and with it all its buffers. Later waits throw `DEVICE-LOST`. May be called twice. */
  dispose(): void;
}

/** One thing that was tried on the way to an adapter. */
export interface DeviceAttempt {
  readonly source: DeviceSource;
  /** `absent`: not offered here (package, platform); `none`: there, but without an adapter. */
  readonly outcome: "found" | "none" | "absent";
  /** Why not, for `none` and `absent`. */
  readonly reason?: string;
  readonly adapter?: AdapterFacts;
  /** Milliseconds that the attempt took. */
  readonly milliseconds: number;
}

export interface DeviceReport {
  readonly attempts: readonly DeviceAttempt[];
  /** What `auto` takes: the executor and the reason as a sentence. */
  readonly choice: { readonly executor: "webgpu" | "cpu"; readonly source?: DeviceSource; readonly reason: string };
  /** Of the host and of the packages that are installed, by name. */
  readonly versions: Readonly<Record<string, string>>;
}
