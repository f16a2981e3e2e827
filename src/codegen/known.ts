/**
 * What units became, by what they are: those of a program's layers and stages are alike, and those of the next program of a session (other
 * adapters, merged weights, the base alone) are mostly those of the one before.
 */
import { remembered } from "../ir/remember.ts";
import { Canonicals } from "./kernel/canonical.ts";
import type { LoweredUnit } from "./schedule/lower.ts";
import type { Target } from "./target.ts";

export interface Known {
  readonly lowered: Map<string, LoweredUnit>;
  readonly canonicals: Canonicals;
}

/** Units beyond which a target begins anew, and targets: some twenty megabytes. */
const [mostUnits, mostTargets] = [800, 3];

const byTarget = new Map<string, Known>();

export function knownFor(target: Target): Known {
  const key = JSON.stringify(target);
  if ((byTarget.get(key)?.lowered.size ?? 0) > mostUnits) byTarget.delete(key);
  if (!byTarget.has(key) && byTarget.size >= mostTargets) byTarget.clear();
  return remembered(byTarget, key, () => ({ lowered: new Map(), canonicals: new Canonicals() }));
}
