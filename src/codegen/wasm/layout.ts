/** Where everything is in the one memory of a program. */
import type { Plan } from "../plan.ts";

export const pageBytes = 65536;

/** Addresses below are never used, so that 0 is nothing's. */
const firstAddress = 1024;

/** The next address at which something may begin. */
export const aligned = (n: number): number => Math.ceil(n / 64) * 64;

export const pagesOf = (bytes: number): number => Math.ceil(bytes / pageBytes);

export interface MemoryLayout {
  /** By buffer of the plan. */
  readonly addresses: ReadonlyMap<string, number>;
  /** Where the last of them ends. */
  readonly end: number;
}

export function layoutMemory({ buffers }: Plan): MemoryLayout {
  const addresses = new Map<string, number>();
  let end = firstAddress;
  for (const { name, bytes, within } of buffers) {
    if (within !== undefined) continue;
    addresses.set(name, end);
    end = aligned(end + bytes);
  }
  for (const { name, within } of buffers)
    if (within !== undefined) addresses.set(name, addresses.get(within.buffer)! + within.offset);
  return { addresses, end };
}
