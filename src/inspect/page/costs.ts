/** Sums over dispatches, and who they are for. */
import type { DispatchRecord } from "../report-types.ts";
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
}

const nothing = (): Cost => ({ flops: 0, bytes: 0, reads: 0, writes: 0, dispatches: 0, ms: 0, leastMs: 0 });

export function totalOf(stages: readonly StageModel[]): Cost {
  const total = nothing();
  for (const { dispatches } of stages) for (const dispatch of dispatches) add(total, dispatch, 1);
  return total;
}

function add(
  cost: Cost,
  { flops, bytes, reads, writes, time: [ms, least] = [0, 0] }: DispatchRecord,
  share: number,
): void {
  cost.flops += share * flops;
  cost.bytes += share * bytes;
  cost.reads += share * reads;
  cost.writes += share * writes;
  cost.ms += share * ms;
  cost.leastMs += share * least;
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

/** Bytes that are live at every dispatch of a stage. */
export function liveBytes({ dispatches, values }: StageModel): number[] {
  const live = new Array<number>(dispatches.length).fill(0);
  for (const [, , , bytes, first, last] of values) for (let at = first; at <= last; at++) live[at]! += bytes;
  return live;
}

export const peakOf = (stage: StageModel): number => {
  const live = liveBytes(stage);
  return live.indexOf(Math.max(0, ...live));
};

/** Values that are live at a dispatch, the largest first. */
export const valuesAt = ({ values }: StageModel, at: number) =>
  values.filter(([, , , , first, last]) => first <= at && at <= last).sort((a, b) => b[3] - a[3]);
