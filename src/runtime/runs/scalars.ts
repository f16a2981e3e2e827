/** The scalars that a run of a model's stage is fed. */

import type { RunInputs } from "../executors/executor.ts";
import type { AdapterEntry } from "../session/adapters.ts";

/** Outside of a training step; `lossShare`: the part of what sites add to the loss that falls to this micro-batch. */
export function runScalars(
  { program, step }: AdapterEntry,
  seed: number,
  sampleOffset: number,
  labelScale: number,
  lossShare = 1,
): RunInputs {
  const settings = [...(program.adapter?.settings ?? [])].map(([name, value]) => [name, [value]]);
  return {
    ...(Object.fromEntries(settings) as RunInputs),
    seed: [seed >>> 0],
    step: [step],
    sample_offset: [sampleOffset],
    label_scale: [labelScale],
    loss_share: [lossShare],
    training: [0],
    pass: [step],
  };
}
