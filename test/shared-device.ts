/**
 * The WebGPU device of this process. Files of tests share it with the pipelines that were made on it, most of which they have in common: a
 * software driver takes longer to compile a kernel than to run it. What loses a device or counts all that it makes opens one of its own.
 */
import { type OpenDevice, openDevice } from "../src/runtime/device/index.ts";

let opened: Promise<OpenDevice> | undefined;

/** Not to be disposed. A device that failed is not handed out again, so that a failure stays that of one file. */
export async function sharedDevice(): Promise<OpenDevice> {
  const before = await opened;
  if (before === undefined || before.failure() !== undefined) opened = openDevice({ prefer: "webgpu" });
  return opened!;
}
