/** Loads tfjs-core and one of its backends. Dynamic imports: nothing of tfjs is loaded before an executor is made. */
import { WebpeftError } from "../../../ir/diagnostics.ts";

export type Tf = typeof import("@tensorflow/tfjs-core");
export type BackendName = "wasm" | "cpu";

export interface BackendOptions {
  /** One backend, or (default) wasm if it starts, else cpu. */
  readonly backend?: BackendName;
  /**
   * Where the .wasm files are: a folder URL ending in a slash, or a URL for each file name. In Node they are found beside the package; in
   * browsers bundlers need this. Ignored when the wasm backend of this process has already started.
   */
  readonly wasmPaths?: string | Readonly<Record<string, string>>;
}

export interface LoadedBackend {
  readonly tf: Tf;
  readonly backend: string;
  /** Whether its tensors have sizes and no numbers. */
  readonly counts: boolean;
}

/** A CommonJS module seen through `import()` has its exports under `default`. */
function exportsOf<T extends object>(module: T): T {
  return "default" in module ? (module.default as T) : module;
}

/**
 * tfjs with a started backend. Throws `DEVICE-TFJS` when none starts. The engine of tfjs is global to the process: the backend that was
 * current before stays current, executors switch for the time of a run.
 */
export async function loadBackend(
  options: BackendOptions = {},
): Promise<LoadedBackend & { readonly backend: BackendName }> {
  const tf = exportsOf(await import("@tensorflow/tfjs-core"));
  const candidates: readonly BackendName[] = options.backend === undefined ? ["wasm", "cpu"] : [options.backend];
  const reasons: string[] = [];
  for (const backend of candidates) {
    const reason = await tryBackend(tf, backend, options);
    if (reason === undefined) return { tf, backend, counts: false };
    reasons.push(`${backend}: ${reason}`);
  }
  throw new WebpeftError("DEVICE-TFJS", { message: "no tfjs backend starts", got: reasons.join("; ") });
}

/** Why the backend does not start, or undefined when it does. */
async function tryBackend(tf: Tf, backend: BackendName, options: BackendOptions): Promise<string | undefined> {
  const before = Object.keys(tf.engine().registry).length === 0 ? undefined : tf.getBackend();
  try {
    await (backend === "wasm" ? registerWasm(tf, options) : registerCpu(tf));
    if (!(await tf.setBackend(backend))) return "it refused to start";
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    if (before !== undefined && before !== backend) await tf.setBackend(before);
  }
}

async function registerWasm(tf: Tf, options: BackendOptions): Promise<void> {
  const wasm = exportsOf(await import("@tensorflow/tfjs-backend-wasm"));
  if (options.wasmPaths !== undefined && tf.engine().registry.wasm === undefined) {
    wasm.setWasmPaths(typeof options.wasmPaths === "string" ? options.wasmPaths : { ...options.wasmPaths });
  }
}

async function registerCpu(tf: Tf): Promise<void> {
  await import("@tensorflow/tfjs-backend-cpu");
  // At its first tensor in Node the backend would advertise another package on the console.
  const backend = tf.findBackend("cpu") as unknown as { firstUse?: boolean };
  backend.firstUse = false;
}

/** Runs `body` with the backend current, and puts back the one that was. Synchronous: both backends are started. */
export function withBackend<T>({ tf, backend }: LoadedBackend, body: () => T): T {
  const before = tf.getBackend();
  if (before === backend) return body();
  // Switching between started backends takes effect before the promise is returned.
  void tf.setBackend(backend);
  try {
    return body();
  } finally {
    void tf.setBackend(before);
  }
}
