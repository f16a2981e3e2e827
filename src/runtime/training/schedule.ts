/** Learning-rate schedules as transformers has them: linear warm-up, then constant, linear to zero, or half a cosine to zero. */
export type ScheduleName = "constant" | "linear" | "cosine";
export const scheduleNames: readonly ScheduleName[] = ["constant", "linear", "cosine"];

export interface Schedule {
  readonly name: ScheduleName;
  /** Peak learning rate. */
  readonly lr: number;
  /** Steps of warm-up from 0. */
  readonly warmup: number;
  /** Steps of the whole run. */
  readonly steps: number;
}

/** The learning rate of a step, counted from 0. */
export function learningRate({ name, lr, warmup, steps }: Schedule, step: number): number {
  if (step < warmup) return (lr * step) / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  if (name === "linear") return lr * Math.max(0, 1 - progress);
  if (name === "cosine") return lr * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
  return lr;
}
