/** The one memory of a program: where everything is in it. */
import { isOnDemand, type Plan } from "../../../codegen/index.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";

const pageBytes = 65536;

/** Addresses below are never used, so that 0 is nothing's. */
const firstAddress = 1024;

const mostBytes = 2 ** 32 - pageBytes;

/** The next address at which something may begin. */
export const aligned = (n: number): number => Math.ceil(n / 64) * 64;

export const pagesOf = (bytes: number): number => Math.ceil(bytes / pageBytes);

export interface MemoryLayout {
  /** By buffer of the plan. */
  readonly addresses: ReadonlyMap<string, number>;
  /** Where the last of them ends. */
  readonly end: number;
  /** Bytes that training touches: large results, which few runs want, are memory only once they are written. */
  readonly touched: number;
}

export function layoutMemory({ buffers }: Plan): MemoryLayout {
  const addresses = new Map<string, number>();
  let end = firstAddress;
  let touched = 0;
  for (const { name, bytes, within } of buffers) {
    if (within !== undefined) continue;
    addresses.set(name, end);
    end = aligned(end + bytes);
    if (!isOnDemand(name)) touched += aligned(bytes);
  }
  for (const { name, within } of buffers)
    if (within !== undefined) addresses.set(name, addresses.get(within.buffer)! + within.offset);
  return { addresses, end, touched };
}

/** Memory of so many bytes. Throws `DEVICE-MEMORY` where WebAssembly cannot address them, or the machine does not give them. */
export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const refused = (reason: string): WebpeftError =>
    new WebpeftError("DEVICE-MEMORY", {
      message: `the program's memory cannot be had: ${reason}`,
      expected: `at most ${(mostBytes / 2 ** 30).toFixed(2)} GiB`,
      got: `${(bytes / 2 ** 30).toFixed(2)} GiB`,
      help: "take a smaller batch or length, weights of 16 bits, or a GPU",
    });
  if (bytes > mostBytes) throw refused("it is more than WebAssembly can address");
  const pages = pagesOf(bytes);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
}
