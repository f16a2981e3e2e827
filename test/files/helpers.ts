import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";

export const golden = fileURLToPath(new URL("../fixtures/golden", import.meta.url));

/** The coded error that the call fails with; anything else is a failure of the test. */
export async function failure(call: () => unknown): Promise<WebpeftError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof WebpeftError) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

/** A safetensors file with this header text and data; `length` is what its first 8 bytes claim. */
export function rawFile(header: string | Uint8Array, data = 0, length?: number | bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "webpeft-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
