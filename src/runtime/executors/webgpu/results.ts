/** Where the results of a run are copied to be read: staging buffers no larger than a device allows. */
import type { PlannedValue } from "../../../codegen/plan.ts";
import { sizeOf } from "../../../ir/types.ts";
import { readWords } from "./upload.ts";

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
export function readResults(
  results: readonly StagedResult[],
  stagings: readonly ArrayBuffer[],
): Record<string, Float32Array> {
  const read = ({ staging, at, shape, dtype }: StagedResult): Float32Array =>
    readWords(stagings[staging]!, at, sizeOf(shape), dtype);
  const byName = new Map<string, StagedResult[]>();
  for (const result of results) byName.set(result.name, [...(byName.get(result.name) ?? []), result]);
  return Object.fromEntries(
    [...byName].map(([name, pieces]) => {
      if (pieces.length === 1) return [name, read(pieces[0]!)];
      const whole = new Float32Array(pieces.reduce((sum, { shape }) => sum + sizeOf(shape), 0));
      for (const piece of pieces) whole.set(read(piece), piece.from!);
      return [name, whole];
    }),
  );
}
