/** Runs whose dispatches are submits of their own: to measure them from outside, and to look at what each has made. */
import type { GeneratedKernel } from "../../../codegen/plan.ts";
import type { OpenDevice } from "../../device/index.ts";
import type { KernelTime } from "../executor.ts";
import type { RecordedStep } from "./recorder.ts";

export type RanStep = RecordedStep & Required<Pick<RecordedStep, "ran">>;

/** Runs one dispatch after the other, as long as `goesOn` says so when each is over. */
export async function runApart(
  { device, wait }: Pick<OpenDevice, "device" | "wait">,
  steps: Iterable<RecordedStep>,
  goesOn: (step: RanStep, milliseconds: number) => Promise<boolean>,
): Promise<void> {
  for (const step of steps) {
    const encoder = device.createCommandEncoder();
    step.encode(encoder);
    const commands = encoder.finish();
    const began = performance.now();
    device.queue.submit([commands]);
    await wait(device.queue.onSubmittedWorkDone());
    const took = performance.now() - began;
    if (step.ran !== undefined && !(await goesOn({ ...step, ran: step.ran }, took))) return;
  }
}

/** The time that passes outside of the device until each dispatch is over. */
export async function timesApart(
  open: Pick<OpenDevice, "device" | "wait">,
  steps: Iterable<RecordedStep>,
  kernels: readonly GeneratedKernel[],
): Promise<KernelTime[]> {
  const times: KernelTime[] = [];
  await runApart(open, steps, async ({ stage, ran: { dispatch } }, milliseconds) => {
    const kernel = kernels.find(({ name }) => name === dispatch.kernel)!;
    times.push({ stage: stage.name, kernel, dispatch, nanoseconds: 1e6 * milliseconds });
    return true;
  });
  return times;
}
