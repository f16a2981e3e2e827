/** The forecast of memory as commands tell it, and `--memory`, which programs are made to fit into. */
import type { CompileOptions } from "../compile/options.ts";
import type { CompiledProgram } from "../program/index.ts";
import type { Executor, Reads } from "../runtime/executors/executor.ts";
import type { Model } from "../runtime/files/model.ts";
import { chooseExecutor, type DeviceName } from "../runtime/session/executor-choice.ts";
import { forecastSession, type MemoryForecast } from "../runtime/session/memory.ts";

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Parts of at least so many bytes are told by themselves. */
const worthTelling = 2 ** 16;

const list = (use: Readonly<Record<string, number>>): string =>
  Object.entries(use)
    .filter(([, bytes]) => bytes >= worthTelling)
    .map(([part, bytes]) => `${part} ${(bytes / 2 ** 20).toFixed(1)}`)
    .join(", ") || `less than ${worthTelling / 1024} KiB each`;

/** A forecast in a line. */
export const memoryLine = ({ device, host, shared, bytes }: MemoryForecast): string =>
  `memory      ${mebibytes(bytes)}${shared ? "" : " on the device"}: ${list({ ...device })}; on the host ${list({ ...host })}`;

/** What a program is made to fit into, and what is to run it. */
export interface Fit {
  readonly compile: Pick<CompileOptions, "memory" | "forecast">;
  readonly device: DeviceName | Executor;
}

/** Works with an executor that is chosen before a program is compiled, where that has to fit; `reads`: of a program, see `StartOptions`. */
export async function fitInto<T>(
  { memory, device }: { readonly memory?: number; readonly device: DeviceName },
  model: Model,
  reads: (program: CompiledProgram) => Reads,
  work: (fit: Fit) => Promise<T>,
): Promise<T> {
  if (memory === undefined) return work({ compile: {}, device });
  const { executor, release } = await chooseExecutor(device);
  try {
    const forecast = (program: CompiledProgram): Promise<MemoryForecast | undefined> =>
      forecastSession(executor, program, model, reads(program));
    return await work({ compile: { memory, forecast }, device: executor });
  } finally {
    release();
  }
}
