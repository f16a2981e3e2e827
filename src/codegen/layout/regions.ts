/**
 * Physical buffers. With `memory: "one"` all buffers of a small program are regions of one: whatever a kernel reads, it binds one buffer, and
 * kernels that differ only in where their operands live are the same kernel. Compiling costs more than it gains on software drivers.
 */
import { alignUp, type BufferSpec } from "../plan.ts";
import type { Target } from "../target.ts";

export const slot = 256;

export interface Region {
  readonly buffer: string;
  readonly offset: number;
}

/** Results that are copied to their place when a stage ends: WebGPU copies between different buffers only. */
export const displacedBuffer = "displaced";

/** The name of an arena among the buffers of a plan. */
export const arenaName = (arena: number): string => (arena === 0 ? "arena" : `arena:${arena}`);

const wholeName = "memory";

export class Regions {
  readonly buffers: readonly BufferSpec[];
  private readonly places: ReadonlyMap<string, Region>;

  constructor(buffers: readonly BufferSpec[], target: Target) {
    const joined = buffers.filter((b) => b.name !== displacedBuffer);
    const total = joined.reduce((sum, b) => sum + alignUp(b.bytes, slot), 0);
    const isOne = target.memory === "one" && total <= target.limits.maxStorageBufferBindingSize;
    if (!isOne || total === 0) {
      this.buffers = buffers;
      this.places = new Map();
      return;
    }
    let offset = 0;
    const places = joined.map(({ name, bytes }): [string, Region] => {
      const place = { buffer: wholeName, offset };
      offset += alignUp(bytes, slot);
      return [name, place];
    });
    this.places = new Map(places);
    const within = (spec: BufferSpec): BufferSpec => {
      const place = this.places.get(spec.name);
      return place === undefined ? spec : { ...spec, within: place };
    };
    this.buffers = [{ name: wholeName, bytes: total }, ...buffers.map(within)];
  }

  locate(buffer: string, offset: number): Region {
    const region = this.places.get(buffer);
    return region === undefined ? { buffer, offset } : { buffer: region.buffer, offset: region.offset + offset };
  }
}
