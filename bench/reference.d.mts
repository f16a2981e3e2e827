import type { inputs } from "./data.mjs";

/** Outputs in f64; null for a workload that has no reference. */
export function reference(
  workload: string,
  data: ReturnType<typeof inputs>,
  sizes: Readonly<Record<string, number>>,
): Record<string, Float64Array> | null;
