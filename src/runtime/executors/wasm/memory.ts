/** The memory of a program. */
import { pageBytes, pagesOf } from "../../../codegen/wasm/index.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";

const mostBytes = 2 ** 32 - pageBytes;

export const memoryRefused = (bytes: number, reason: string): WebpeftError =>
  new WebpeftError("DEVICE-MEMORY", {
    message: `the program's memory cannot be had: ${reason}`,
    expected: `at most ${(mostBytes / 2 ** 30).toFixed(2)} GiB`,
    got: `${(bytes / 2 ** 30).toFixed(2)} GiB`,
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
