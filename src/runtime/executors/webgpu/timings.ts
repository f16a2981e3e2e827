/**
 * What every dispatch of a run took on the device, by its timestamps. A pass has one timestamp at its begin and one at its end, so each
 * dispatch gets a pass of its own: the run as a whole is slower for it, and is only measured where somebody asks.
 */
import type { Dispatch, GeneratedKernel } from "../../../codegen/plan.ts";
import { bufferUsage, mapMode, type OpenDevice } from "../../device/index.ts";
import type { InstantiateOptions, KernelTime } from "../executor.ts";

/** The most that a query set may have. */
const setSize = 4096;

const bytesOf = (queries: number): number => 8 * queries;

export type KernelListener = NonNullable<InstantiateOptions["onKernels"]>;

export const hasTimestamps = ({ target }: OpenDevice): boolean => target.features.includes("timestamp-query");

export class Timings {
  private readonly dispatches: { readonly stage: string; readonly dispatch: Dispatch }[] = [];
  private readonly sets: GPUQuerySet[] = [];
  private resolved: GPUBuffer | undefined;
  private staging: GPUBuffer | undefined;

  constructor(
    private readonly open: OpenDevice,
    private readonly kernels: ReadonlyMap<string, GeneratedKernel>,
    private readonly listener: KernelListener,
  ) {}

  /** The pass for one dispatch. */
  pass(stage: string, dispatch: Dispatch): GPUComputePassDescriptor {
    const first = (2 * this.dispatches.length) % setSize;
    if (first === 0) this.sets.push(this.open.device.createQuerySet({ type: "timestamp", count: setSize }));
    this.dispatches.push({ stage, dispatch });
    const querySet = this.sets.at(-1)!;
    return { timestampWrites: { querySet, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 } };
  }

  /** Encodes the copy of what was measured, behind the passes. */
  resolve(encoder: GPUCommandEncoder): void {
    const { device } = this.open;
    const count = 2 * this.dispatches.length;
    if (count === 0) return;
    const size = bytesOf(count);
    this.resolved = device.createBuffer({ size, usage: bufferUsage.QUERY_RESOLVE | bufferUsage.COPY_SRC });
    this.sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, Math.min(setSize, count - i * setSize), this.resolved!, bytesOf(i * setSize));
    });
    this.staging = device.createBuffer({ size, usage: bufferUsage.MAP_READ | bufferUsage.COPY_DST });
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, size);
  }

  /** Tells the listener before the run's results are there. */
  async tell<T>(results: Promise<T>): Promise<T> {
    const [made, times] = await Promise.all([results, this.read()]);
    this.listener(times);
    return made;
  }

  private async read(): Promise<readonly KernelTime[]> {
    const { staging } = this;
    if (staging === undefined) return [];
    await this.open.wait(staging.mapAsync(mapMode.READ));
    const stamps = new BigUint64Array(staging.getMappedRange());
    const times = this.dispatches.map(({ stage, dispatch }, i): KernelTime => {
      const [begin, end] = [stamps[2 * i]!, stamps[2 * i + 1]!];
      // A driver may set its clock back between the two.
      const nanoseconds = end > begin ? Number(end - begin) : 0;
      return { stage, kernel: this.kernels.get(dispatch.kernel)!, dispatch, nanoseconds };
    });
    for (const buffer of [staging, this.resolved!]) buffer.destroy();
    for (const set of this.sets) set.destroy();
    return times;
  }
}
