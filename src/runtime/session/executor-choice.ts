/** Which executor runs a session, and which one merges for it. */
import type { Target } from "../../codegen/index.ts";
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

export interface ChoiceOptions {
  readonly signal?: AbortSignal | undefined;
  /** What kernels are made for; the device's own target unless given. */
  readonly target?: Target | undefined;
}

async function onDevice(prefer: "auto" | "webgpu", { signal, target }: ChoiceOptions): Promise<ChosenExecutor> {
  const open = await openDevice({ prefer, ...(signal === undefined ? {} : { signal }) });
  return { executor: webgpuExecutor(open, target && { target }), release: () => open.dispose() };
}

const onProcessor = ({ target }: ChoiceOptions): ChosenExecutor => borrowed(wasmExecutor(target && { target }));

const choices: Readonly<Record<DeviceName, (options: ChoiceOptions) => Promise<ChosenExecutor>>> = {
  auto: (options) =>
    onDevice("auto", options).catch((error: unknown) => {
      if (error instanceof WebpeftError && error.code === "DEVICE-NONE") return onProcessor(options);
      throw error;
    }),
  webgpu: (options) => onDevice("webgpu", options),
  cpu: async (options) => onProcessor(options),
  tfjs: async () => borrowed(await tfjsExecutor()),
  reference: async () => borrowed(referenceExecutor()),
};

/** Throws what opening a device throws, and `DEVICE-TFJS`. */
export async function chooseExecutor(
  device: DeviceName | OpenDevice | Executor,
  options: ChoiceOptions = {},
): Promise<ChosenExecutor> {
  if (typeof device === "string") return choices[device](options);
  if ("instantiate" in device) return borrowed(device);
  return borrowed(webgpuExecutor(device, options.target && { target: options.target }));
}
