/** Where the results of a run are copied to be read: staging buffers no larger than a device allows. */
import type { PlannedValue } from "../../../codegen/plan.ts";
import { sizeOf } from "../../../ir/types.ts";
import { joinPieces } from "../recipes.ts";
import { readWords } from "../words.ts";

/** A result, or a piece of one, and its place: which staging buffer, from which byte. */
export interface StagedResult extends PlannedValue {
  readonly staging: number;
  readonly at: number;
}

export interface StagedResults {
  readonly results: readonly StagedResult[];
  /** Bytes of every staging buffer. */
  readonly stagings: readonly number[];
}

export function stageResults(values: readonly PlannedValue[], largest: number): StagedResults {
  const stagings: number[] = [];
  const results = values.map((value) => {
    const bytes = 4 * sizeOf(value.shape);
    const last = stagings.at(-1);
    if (last === undefined || last + bytes > largest) stagings.push(0);
    const staging = stagings.length - 1;
    const at = stagings[staging]!;
    stagings[staging] = at + bytes;
    return { ...value, staging, at };
  });
  return { results, stagings };
}

/** The results by name, row-major; pieces put together. */
export const readResults = (
  results: readonly StagedResult[],
  stagings: readonly ArrayBuffer[],
): Record<string, Float32Array> =>
  joinPieces(results, ({ staging, at, shape, dtype }) => readWords(stagings[staging]!, at, sizeOf(shape), dtype));
