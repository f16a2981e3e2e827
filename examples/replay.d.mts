/** Types of `replay.mjs` for what imports it from TypeScript. */

export interface ReplayTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface ReplayedStep {
  readonly loss: number;
  readonly gradNorm: number;
  readonly finite: boolean;
}

export interface OpenDump {
  /** A buffer of storage, or a bound slice of one, as f32. */
  read(name: string): Promise<Float32Array>;
  step(
    batch: { readonly input_ids: ArrayLike<number>; readonly labels: ArrayLike<number> },
    options?: { readonly lr?: number },
  ): Promise<ReplayedStep>;
  dispose(): void;
}

export function readTensors(path: string): Promise<Map<string, ReplayTensor>>;

export function openDump(
  device: GPUDevice,
  folder: string,
  tensors: ReadonlyMap<string, ReplayTensor>,
  options?: { readonly seed?: number; readonly pipelines?: Map<string, unknown> },
): Promise<OpenDump>;
