/**
 * What units became, by what they are: those of a program's layers and stages are alike, and those of the next program of a session (other
 * adapters, merged weights, the base alone) are mostly those of the one before.
 */
import { Recent, remembered } from "../ir/remember.ts";
import { Canonicals } from "./kernel/canonical.ts";
import type { LoweredUnit } from "./schedule/lower.ts";
import type { Target } from "./target.ts";

export interface Known {
  readonly lowered: Recent<string, LoweredUnit>;
  readonly canonicals: Canonicals;
}

/** Units of a target that are kept from program to program, some twenty megabytes, and targets. */
const [mostUnits, mostTargets] = [800, 3];

const byTarget = new Recent<string, Known>();

/** For a program that begins: what was used longest ago is forgotten now, since within a program what is equal has to be one object. */
export function knownFor(target: Target): Known {
  const known = remembered(byTarget, JSON.stringify(target), () => ({
    lowered: new Recent<string, LoweredUnit>(),
    canonicals: new Canonicals(),
  }));
  byTarget.keep(mostTargets);
  if (known.lowered.keep(mostUnits))
    known.canonicals.keep(new Set([...known.lowered.values()].map(({ body }) => body.statements)));
  return known;
}
