/** What runs on an adapter's instance share, and the scalars that they are fed. */
import { atRest, type Fed, feed } from "../../ir/run-inputs.ts";
import type { CompiledProgram, StageName } from "../../program/index.ts";
import type { RunInputs } from "../executors/executor.ts";
import type { Model } from "../files/model.ts";
import type { RunningAdapter } from "../values/running.ts";

/** What the runs of a session have in common. */
export interface RunContext {
  /** The base model. */
  readonly model: Model;
  readonly seed: number;
  /** Of all its adapters: a batch may hold what only another of them reads. */
  readonly programs: readonly CompiledProgram[];
}

export const hasStage = (program: CompiledProgram, stage: StageName): boolean =>
  program.stages.some((s) => s.name === stage);

/** The scalars of a run of the model's graph with an adapter: as in evaluation, but for what is given. */
export function modelScalars(
  { program, step }: RunningAdapter,
  seed: number,
  given: Partial<Fed<"model">> = {},
): RunInputs {
  const settings = feed(Object.fromEntries(program.adapter?.settings ?? []));
  return { ...settings, ...feed({ ...atRest, seed: seed >>> 0, step, pass: step, ...given }) };
}
