/** Reads what is on a device, through staging buffers that are kept for the next time. */
import { bufferUsage, mapMode, type OpenDevice } from "../../device/index.ts";
import { StagingPool } from "./staging.ts";

export class Reader {
  private readonly pool: StagingPool<GPUBuffer>;
  private disposed = false;

  constructor(private readonly open: OpenDevice) {
    const usage = bufferUsage.MAP_READ | bufferUsage.COPY_DST;
    this.pool = new StagingPool((size) => open.device.createBuffer({ label: "staging", size, usage }));
  }

  /** Bytes of all staging buffers. */
  get bytes(): number {
    return this.pool.bytes;
  }

  /** A staging buffer for a submit that copies results into it. */
  take(bytes: number): GPUBuffer {
    return this.pool.take(bytes);
  }

  /** What was copied into a staging buffer, which is given back. */
  async read(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    // Copied before anything else can run: a device that goes takes what is mapped with it.
    const mapped = staging.mapAsync(mapMode.READ, 0, bytes).then(() => staging.getMappedRange(0, bytes).slice(0));
    const copy = await this.open.wait(mapped).catch((error: unknown) => {
      this.pool.lose(staging);
      staging.destroy();
      throw error;
    });
    staging.unmap();
    if (this.disposed) staging.destroy();
    else this.pool.give(staging);
    return copy;
  }

  /** A part of a buffer as it is when everything that was submitted is over. */
  range({ buffer, offset }: { readonly buffer: GPUBuffer; readonly offset: number }, bytes: number) {
    const encoder = this.open.device.createCommandEncoder();
    const staging = this.take(bytes);
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
    this.open.device.queue.submit([encoder.finish()]);
    return this.read(staging, bytes);
  }

  dispose(): void {
    this.disposed = true;
    for (const buffer of this.pool.clear()) buffer.destroy();
  }
}
