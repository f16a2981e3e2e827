/** Sizes of the workloads by name. */
export const cfg: Readonly<Record<string, Readonly<Record<string, number>>>>;

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export function inputs(workload: string): Readonly<Record<string, Tensor>>;
