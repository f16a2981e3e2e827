/** Which executor runs a session, and which one merges for it. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type OpenDevice, openDevice } from "../device/index.ts";
import type { Executor } from "../executors/executor.ts";
import { referenceExecutor } from "../executors/reference.ts";
import { wasmExecutor } from "../executors/wasm/executor.ts";
import { webgpuExecutor } from "../executors/webgpu/executor.ts";

/**
 * `auto`: a hardware WebGPU adapter, else the CPU; `cpu`: WebAssembly; `tfjs`: TensorFlow.js, which shares no kernel with the others;
 * `reference`: f64 evaluation, slow.
 */
export const deviceNames = ["auto", "webgpu", "cpu", "tfjs", "reference"] as const;

export type DeviceName = (typeof deviceNames)[number];

export interface ChosenExecutor {
  readonly executor: Executor;
  /** Frees the device, where it was opened for this choice. */
  readonly release: () => void;
}

const borrowed = (executor: Executor): ChosenExecutor => ({ executor, release: () => undefined });

/** Loaded when somebody asks for it. */
const tfjsExecutor = async (): Promise<Executor> => (await import("../executors/tfjs/executor.ts")).tfjsExecutor();

async function onDevice(prefer: "auto" | "webgpu", signal: AbortSignal | undefined): Promise<ChosenExecutor> {
  const open = await openDevice({ prefer, ...(signal === undefined ? {} : { signal }) });
  return { executor: webgpuExecutor(open), release: () => open.dispose() };
}

const choices: Readonly<Record<DeviceName, (signal?: AbortSignal) => Promise<ChosenExecutor>>> = {
  auto: (signal) =>
    onDevice("auto", signal).catch((error: unknown) => {
      if (error instanceof WebpeftError && error.code === "DEVICE-NONE") return borrowed(wasmExecutor());
      throw error;
    }),
  webgpu: (signal) => onDevice("webgpu", signal),
  cpu: async () => borrowed(wasmExecutor()),
  tfjs: async () => borrowed(await tfjsExecutor()),
  reference: async () => borrowed(referenceExecutor()),
};

/** Throws what opening a device throws, and `DEVICE-TFJS`. */
export async function chooseExecutor(
  device: DeviceName | OpenDevice | Executor,
  signal?: AbortSignal,
): Promise<ChosenExecutor> {
  if (typeof device === "string") return choices[device](signal);
  return borrowed("instantiate" in device ? device : webgpuExecutor(device));
}
