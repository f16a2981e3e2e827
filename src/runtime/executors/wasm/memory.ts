/** The memory of a program. */
import { pageBytes, pagesOf } from "../../../codegen/wasm/index.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";

const mostBytes = 2 ** 32 - pageBytes;

const sizeText = (bytes: number): string =>
  bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;

export const memoryRefused = (bytes: number, reason: string): WebpeftError =>
  new WebpeftError("DEVICE-MEMORY", {
    message: `the program's memory cannot be had: ${reason}`,
    expected: bytes > mostBytes ? `at most ${sizeText(mostBytes)}` : "no more than the machine gives",
    got: sizeText(bytes),
    help: "take a smaller batch or length, weights of 16 bits, or a GPU",
  });

/** Throws `DEVICE-MEMORY` where WebAssembly cannot address so many bytes. */
export function checkMemory(bytes: number): void {
  if (bytes > mostBytes) throw memoryRefused(bytes, "it is more than WebAssembly can address");
}

/** Memory of so many bytes. Throws `DEVICE-MEMORY` where they are too many, or the machine does not give them. */
export function createMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  checkMemory(bytes);
  const pages = pagesOf(bytes);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (error) {
    throw memoryRefused(bytes, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Tells the engine that so many bytes are garbage now: V8 does not count memory that threads share, and so would collect it late or never. An
 * array that nobody writes to takes no memory, but counts. Workers are given the text of this function too.
 */
export function weighMemory(bytes: number): void {
  try {
    // A small one stands for the gigabytes of addresses that are kept free behind it.
    new ArrayBuffer(Math.max(bytes, 2 ** 24));
  } catch {
    // Where there is no room for it everything is collected before that is told.
  }
}
