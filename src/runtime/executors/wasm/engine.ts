/** Where there is no engine for WebAssembly, or it gives up. */
import { WebpeftError } from "../../../ir/diagnostics.ts";

/** Whether there is WebAssembly at all; a page's rules may forbid to compile it all the same. */
export const isThere = (): boolean => typeof (globalThis as { WebAssembly?: unknown }).WebAssembly === "object";

const textOf = (cause: unknown): string => (cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));

/** `reason`: what the engine says. */
export const noEngine = (reason: unknown): WebpeftError =>
  new WebpeftError(
    "DEVICE-WASM",
    {
      message: "the kernels cannot be compiled as WebAssembly here",
      got: textOf(reason),
      help: "a page's Content-Security-Policy has to allow 'wasm-unsafe-eval' in script-src; or take another device: webgpu, or tfjs",
    },
    { cause: reason },
  );

/** Throws what ended a run, with a code. */
export function engineFailed(cause: unknown): never {
  if (cause instanceof WebpeftError) throw cause;
  throw new WebpeftError(
    "DEVICE-VALIDATION",
    {
      message: "the engine stopped a kernel",
      where: "WebAssembly",
      got: textOf(cause),
      help: "this is a defect of webpeft or of the engine; please report it with the config and the model's config.json",
    },
    { cause },
  );
}
