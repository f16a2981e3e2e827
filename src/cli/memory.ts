/** The forecast of memory as commands tell it, and `--memory`, which programs are made to fit into. */
import type { Target } from "../codegen/index.ts";
import type { CompileOptions } from "../compile/options.ts";
import type { CompiledProgram } from "../program/index.ts";
import type { Reads } from "../runtime/executors/executor.ts";
import type { Model } from "../runtime/files/model.ts";
import { forecastSession, type MemoryForecast } from "../runtime/session/memory.ts";
import type { RunsOn } from "./runs-on.ts";

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

/** What a program is compiled with so that it runs on an executor, within what `--memory` allows; `reads`: of a program, see `StartOptions`. */
export function compiledFor(
  { executor, target }: RunsOn,
  { memory }: { readonly memory?: number },
  model: Model,
  reads: (program: CompiledProgram) => Reads,
): Pick<CompileOptions, "memory" | "forecast"> & { readonly target: Target } {
  if (memory === undefined) return { target };
  const forecast = (program: CompiledProgram): Promise<MemoryForecast | undefined> =>
    forecastSession(executor, program, model, reads(program));
  return { target, memory, forecast };
}
