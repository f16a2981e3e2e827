/** Sums over dispatches, and who they are for. */
import { type Errors, largestErrors } from "../../program/precision.ts";
import { heldAt, liveBytes, peakAt } from "../memory-facts.ts";
import type { DispatchRecord, ValueRecord } from "../report-types.ts";
import type { StageModel } from "./model.ts";

export interface Cost {
  flops: number;
  bytes: number;
  reads: number;
  writes: number;
  dispatches: number;
  /** Milliseconds, and what they would be at the peak of the device; 0 where nothing was measured. */
  ms: number;
  leastMs: number;
  /** The largest errors against f64; absent where nothing was compared. */
  errors?: Errors | undefined;
}

const nothing = (): Cost => ({ flops: 0, bytes: 0, reads: 0, writes: 0, dispatches: 0, ms: 0, leastMs: 0 });

export function totalOf(stages: readonly StageModel[]): Cost {
  const total = nothing();
  for (const { dispatches } of stages) for (const dispatch of dispatches) add(total, dispatch, 1);
  return total;
}

function add(
  cost: Cost,
  { flops, bytes, reads, writes, time: [ms, least] = [0, 0], errors }: DispatchRecord,
  share: number,
): void {
  cost.flops += share * flops;
  cost.bytes += share * bytes;
  cost.reads += share * reads;
  cost.writes += share * writes;
  cost.ms += share * ms;
  cost.leastMs += share * least;
  cost.errors = largestErrors([cost.errors, errors]);
  cost.dispatches += 1;
}

function entry(costs: Map<string, Cost>, key: string): Cost {
  const cost = costs.get(key) ?? nothing();
  costs.set(key, cost);
  return cost;
}

export function costsOfKernels(stages: readonly StageModel[]): Map<string, Cost> {
  const costs = new Map<string, Cost>();
  for (const { dispatches } of stages)
    for (const dispatch of dispatches) add(entry(costs, dispatch.kernel), dispatch, 1);
  return costs;
}

/** What dispatches cost, shared among modules as their work is. */
export function costsOfSites(stages: readonly StageModel[]): Map<string, Cost> {
  const costs = new Map<string, Cost>();
  for (const stage of stages) {
    stage.dispatches.forEach((dispatch, at) => {
      for (const [scope, share] of stage.sharesOf(at)) add(entry(costs, scope), dispatch, share);
    });
  }
  return costs;
}

/** The modules that a kernel runs for, in the order in which it does. */
export function sitesOfKernel(stages: readonly StageModel[], kernel: string): string[] {
  const found = stages.flatMap((stage) =>
    stage.dispatches.flatMap((dispatch, at) => (dispatch.kernel === kernel ? stage.scopesOf(at) : [])),
  );
  return [...new Set(found)];
}

/** Values of a stage with what says when they live. */
const heldOf = ({ values }: StageModel) =>
  values.map((value) => ({ value, bytes: value[3], first: value[4], last: value[5] }));

/** The dispatch of a stage at which most is in memory, the bytes that are, and what they hold, the largest first. */
export function peakOf(stage: StageModel): {
  readonly at: number;
  readonly bytes: number;
  readonly values: readonly ValueRecord[];
} {
  const held = heldOf(stage);
  const live = liveBytes(held, stage.dispatches.length);
  const at = peakAt(live);
  return { at, bytes: live[at] ?? 0, values: heldAt(held, at).map(({ value }) => value) };
}
