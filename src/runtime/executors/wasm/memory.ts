/** The memory of a program. */
import { pageBytes, pagesOf } from "../../../codegen/wasm/index.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";

const mostBytes = 2 ** 32 - pageBytes;

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
