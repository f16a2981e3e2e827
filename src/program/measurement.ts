/** What a program takes on a device, as it was measured: plain data, in dumps and in the report. */

/**
 * Whose clock it is: the device's own timestamps; the processor's that runs the kernels; or, where the device has none, the time that passes
 * outside while every dispatch is a submit of its own, which counts what it takes to submit and to wait.
 */
export type Clock = "device" | "processor" | "outside";

/** What a device reaches on two small programs of its own: a product of matrices, and a sum of long vectors. */
export interface Peak {
  readonly flopsPerSecond: number;
  readonly bytesPerSecond: number;
  /** What it was measured with, in words. */
  readonly probe: string;
}

export interface Measurement {
  /** What ran it, in words. */
  readonly device: string;
  readonly clock: Clock;
  /** Of weights that were drawn, and of the batch. */
  readonly seed: number;
  /** Runs before those that count, and those that count; every figure is the median of these. */
  readonly warmUps: number;
  readonly runs: number;
  /** Milliseconds of a training step, or of a forward pass, from call to result, in runs whose dispatches nobody measured. */
  readonly wholeMs: number;
  /** Milliseconds of every dispatch of a stage, in the order of the plan; null for those that did not run. */
  readonly stages: readonly { readonly name: string; readonly dispatchMs: readonly (number | null)[] }[];
  readonly peak: Peak;
}

/** Milliseconds of all dispatches of stages together. */
export const measuredMs = ({ stages }: Pick<Measurement, "stages">): number =>
  stages.reduce((sum, { dispatchMs }) => sum + dispatchMs.reduce((own: number, ms) => own + (ms ?? 0), 0), 0);

/**
 * Milliseconds that work would take at the peak: those of the slower of computing and moving. Of the time that it took it is the share of what
 * the device could reach. Source: Williams, Waterman and Patterson, "Roofline", 2009.
 */
export const leastMs = (
  { flops, bytes }: { readonly flops: number; readonly bytes: number },
  { flopsPerSecond, bytesPerSecond }: Peak,
): number => 1e3 * Math.max(flops / flopsPerSecond, bytes / bytesPerSecond);
