/** The memory of a program. */
import { pageBytes, pagesOf } from "../../../codegen/wasm/index.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";

const mostBytes = 2 ** 32 - pageBytes;

function sizeText(bytes: number): string {
  if (bytes < 2 ** 20) return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

const smaller = "take a smaller batch or length, weights of 16 bits, or a GPU";

/** What helps where a program is too large for WebAssembly, and where the machine does not give memory that is small enough. */
const helps = {
  tooLarge: `make it fit at the cost of time, by \`--memory 2GiB\` of train and eval (\`memory\` of compile); or ${smaller}`,
  notGiven:
    "where `ulimit -v` is set, raise it: V8 keeps some 10 GiB of addresses free behind every WebAssembly memory, however small the batch is; " +
    `or use \`--device tfjs\`, which does without. Where it is not set, ${smaller}`,
} as const;

export function memoryRefused(bytes: number, reason: string, cause?: unknown): WebpeftError {
  const isTooLarge = bytes > mostBytes;
  const facts = {
    message: `the program's memory cannot be had: ${reason}`,
    expected: isTooLarge ? `at most ${sizeText(mostBytes)}` : "no more than the machine gives",
    got: sizeText(bytes),
    help: helps[isTooLarge ? "tooLarge" : "notGiven"],
  };
  return new WebpeftError("DEVICE-MEMORY", facts, { cause });
}

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
    throw memoryRefused(bytes, error instanceof Error ? error.message : String(error), error);
  }
}

/**
 * Tells the engine that so many bytes are garbage now: V8 does not count memory that threads share, and so would collect it late or never. An
 * array that nobody writes to takes no memory, but counts. Workers are given the text of this function too.
 */
export function weighMemory(bytes: number): void {
  try {
    // A small one stands for the gigabytes of addresses that are kept free behind it.
    new ArrayBuffer(Math.max(bytes, 2 ** 26));
  } catch {
    // Where there is no room for it everything is collected before that is told.
  }
}
