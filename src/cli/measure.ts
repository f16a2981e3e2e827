/** `webpeft inspect --measure` and `--precision`: on which device, and what they say of it. */

import { isForProcessors, type Target } from "../codegen/index.ts";
import type { Program } from "../compile/program.ts";
import { bytes, flops, ratio } from "../inspect/index.ts";
import { type Measurement, measuredMs } from "../program/measurement.ts";
import type { Precision } from "../program/precision.ts";
import type { Executor } from "../runtime/executors/executor.ts";
import { chooseExecutor, type DeviceName } from "../runtime/session/executor-choice.ts";
import type { Sources } from "./common.ts";
import { type PrintOptions, say } from "./output.ts";
import { readTarget } from "./target.ts";

export interface MeasureCommandOptions extends PrintOptions {
  readonly measure?: boolean;
  readonly precision?: boolean;
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

/** The target that is named; where it is run that of the device unless one is. Throws `CLI-TARGET` and what opening a device throws. */
export async function inspectedOn(options: MeasureCommandOptions): Promise<InspectedOn> {
  const { measure, precision, device, target: name } = options;
  if (measure !== true && precision !== true) return { target: await readTarget(name), release: () => undefined };
  const given = name === undefined ? undefined : await readTarget(name);
  const chosen = device === "auto" && given !== undefined && isForProcessors(given) ? "cpu" : device;
  const { executor, release } = await chooseExecutor(chosen, { target: given });
  return { target: executor.target ?? (await readTarget(name)), executor, release };
}

/** The share of a step that its dispatches make up. */
const shareOf = (measured: Measurement): string => `${((100 * measuredMs(measured)) / measured.wholeMs).toFixed(0)} %`;

/** What was asked for, and nothing else. */
interface Observed {
  readonly measured?: Measurement;
  readonly compared?: Precision;
}

/** What was measured and compared, which is also said; nothing where nobody asked. */
export async function observedOn(
  program: Program,
  { experts }: Pick<Sources, "experts">,
  options: MeasureCommandOptions,
  { executor }: InspectedOn,
): Promise<Observed> {
  if (executor === undefined) return {};
  const { seed, measure, precision } = options;
  const how = {
    device: executor,
    ...(seed === undefined ? {} : { seed }),
    ...(experts === undefined ? {} : { experts: Object.fromEntries(experts) }),
  };
  const measured = measure === true ? await program.measure(how) : undefined;
  if (measured !== undefined) sayMeasured(options, measured);
  const compared = precision === true ? await program.precision(how) : undefined;
  if (compared !== undefined) sayCompared(options, compared);
  return { ...(measured && { measured }), ...(compared && { compared }) };
}

function sayMeasured(options: PrintOptions, measured: Measurement): void {
  const { device, clock, wholeMs, runs, peak } = measured;
  const outside = clock === "outside" ? " (outside time, with submitting and waiting)" : "";
  say(
    options,
    `measured    ${device}, median of ${runs}: ${wholeMs.toFixed(2)} ms, dispatches ${shareOf(measured)}${outside}`,
  );
  say(options, `peak        ${flops(peak.flopsPerSecond)}/s, ${bytes(peak.bytesPerSecond)}/s`);
}

function sayCompared(options: PrintOptions, { device, stages }: Precision): void {
  const all = stages.flatMap(({ name, nodes }) => nodes.map((node) => ({ name, ...node })));
  const worst = (by: "error" | "own"): string => {
    const { [by]: error, name, node } = all.reduce((most, one) => (one[by] > most[by] ? one : most));
    return `${ratio(error)} at ${name}/%${node}`;
  };
  if (all.length === 0) return;
  say(
    options,
    `compared    ${device}, ${all.length} values with f64: error ${worst("error")}, of a kernel alone ${worst("own")}`,
  );
}
