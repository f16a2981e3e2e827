/** What a command runs programs on: chosen before anything is compiled, so that programs are made for what runs them. */
import type { Target } from "../codegen/index.ts";
import type { Executor } from "../runtime/executors/executor.ts";
import { wasmTargetHere } from "../runtime/executors/wasm/features.ts";
import { chooseExecutor, type DeviceName } from "../runtime/session/executor-choice.ts";

export interface RunsOn {
  readonly executor: Executor;
  /** What programs are compiled for. */
  readonly target: Target;
}

/** The target of what an executor runs; one that runs no kernels (`tfjs`) binds nothing, and has the limits of processors. */
export const targetOn = ({ target = wasmTargetHere() }: Executor): Target => target;

/**
 * Works on what `--device` names, and frees it. Devices are searched for here and never again, so that what `auto` takes is what programs are
 * compiled for. Throws what opening a device throws.
 */
export async function runOn<T>(device: DeviceName, work: (on: RunsOn) => Promise<T>): Promise<T> {
  const { executor, release } = await chooseExecutor(device);
  try {
    return await work({ executor, target: targetOn(executor) });
  } finally {
    release();
  }
}
