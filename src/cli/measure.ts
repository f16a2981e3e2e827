/** `webpeft inspect --measure`: on which device, and what it says of it. */

import { isForProcessors, type Target } from "../codegen/index.ts";
import type { Program } from "../compile/program.ts";
import { bytes, flops } from "../inspect/index.ts";
import { type Measurement, measuredMs } from "../program/measurement.ts";
import type { Executor } from "../runtime/executors/executor.ts";
import { chooseExecutor, type DeviceName } from "../runtime/session/executor-choice.ts";
import type { Sources } from "./common.ts";
import { type PrintOptions, say } from "./output.ts";
import { readTarget } from "./target.ts";

export interface MeasureCommandOptions extends PrintOptions {
  readonly measure?: boolean;
  readonly device: DeviceName;
  readonly target?: string;
  readonly seed?: number;
}

/** What a program is compiled for, and the device that runs it where that is measured. */
export interface InspectedOn {
  readonly target: Target;
  readonly executor?: Executor;
  readonly release: () => void;
}

/** The target that is named; with `--measure` that of the device unless one is. Throws `CLI-TARGET` and what opening a device throws. */
export async function inspectedOn({ measure, device, target: name }: MeasureCommandOptions): Promise<InspectedOn> {
  if (measure !== true) return { target: await readTarget(name), release: () => undefined };
  const given = name === undefined ? undefined : await readTarget(name);
  const chosen = device === "auto" && given !== undefined && isForProcessors(given) ? "cpu" : device;
  const { executor, release } = await chooseExecutor(chosen, { target: given });
  return { target: executor.target ?? (await readTarget(name)), executor, release };
}

/** The share of a step that its dispatches make up. */
const shareOf = (measured: Measurement): string => `${((100 * measuredMs(measured)) / measured.wholeMs).toFixed(0)} %`;

/** What was measured, which is also said; nothing where nobody asked. */
export async function measuredOn(
  program: Program,
  { experts }: Pick<Sources, "experts">,
  options: MeasureCommandOptions,
  { executor }: InspectedOn,
): Promise<{ readonly measured?: Measurement }> {
  if (executor === undefined) return {};
  const measured = await program.measure({
    device: executor,
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(experts === undefined ? {} : { experts: Object.fromEntries(experts) }),
  });
  const { device, clock, wholeMs, runs, peak } = measured;
  const outside = clock === "outside" ? " (outside time, with submitting and waiting)" : "";
  say(
    options,
    `measured    ${device}, median of ${runs}: ${wholeMs.toFixed(2)} ms, dispatches ${shareOf(measured)}${outside}`,
  );
  say(options, `peak        ${flops(peak.flopsPerSecond)}/s, ${bytes(peak.bytesPerSecond)}/s`);
  return { measured };
}
