/** Buffers that results are read through: taken for a run, given back when it is read, and kept for the next. */
import type { PlannedValue } from "../../../codegen/plan.ts";
import type { Reads } from "../executor.ts";
import { stageResults } from "./results.ts";

export class StagingPool<B extends { readonly size: number }> {
  private readonly free: B[] = [];
  /** Bytes of all that were made. */
  bytes = 0;

  constructor(private readonly make: (size: number) => B) {}

  take(bytes: number): B {
    const at = this.free.findIndex((buffer) => buffer.size >= bytes);
    if (at >= 0) return this.free.splice(at, 1)[0]!;
    const made = this.make(Math.ceil(bytes / 256) * 256);
    this.bytes += made.size;
    return made;
  }

  give(buffer: B): void {
    this.free.push(buffer);
  }

  /** One that is of no use any more. */
  lose(buffer: B): void {
    this.bytes -= buffer.size;
  }

  /** Those that nobody has. */
  clear(): B[] {
    return this.free.splice(0);
  }
}

/** What a pool comes to when these reads follow each other. */
export function forecastStaging(
  reads: Reads,
  resultsOf: (name: string) => readonly PlannedValue[],
  largest: number,
): number {
  const pool = new StagingPool((size) => ({ size }));
  for (const names of reads) {
    const { stagings } = stageResults(names.flatMap(resultsOf), largest);
    for (const taken of stagings.map((bytes) => pool.take(bytes))) pool.give(taken);
  }
  return pool.bytes;
}
