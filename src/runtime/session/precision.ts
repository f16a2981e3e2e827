/** How far a step on a device is from its evaluation in f64: seeded data through a session whose runs are compared, dispatch by dispatch. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { flopsOf } from "../../ir/registry.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import type { StageName } from "../../program/index.ts";
import type { NodeError, Precision } from "../../program/precision.ts";
import { drawnBatch, drawnModel, drawnNumbers } from "../data/drawn.ts";
import { comparedExecutor } from "../executors/compared.ts";
import type { Executor } from "../executors/executor.ts";
import { type Checks, checkOptions, count } from "../options.ts";
import { trainedTensors } from "../values/running.ts";
import { chooseExecutor } from "./executor-choice.ts";
import { checkDevice, type DrawnOptions, drawnChecks, type PlannedProgram } from "./measure.ts";
import { type SessionSource, startSession } from "./start.ts";

export interface PrecisionOptions extends DrawnOptions {
  /** Operations that are evaluated in f64 at most; 4e9 unless given, which take some minutes. */
  readonly mostOperations?: number;
}

const checks: Checks<PrecisionOptions> = { ...drawnChecks, mostOperations: count };

/** Stages of evaluation, and those of a training step. */
const isOfEvaluation = (name: StageName): boolean => /^(forward|predict)/.test(name);

/** Of the stages that are run: an operation for every flop, and for every number that takes none. */
function operationsOf({ mode, stages }: PlannedProgram): number {
  const run = stages.filter(({ name }) => (mode === "train" ? !isOfEvaluation(name) : !name.startsWith("predict")));
  return run
    .flatMap(({ graph }) => graph.nodes.map((node) => [graph, node] as const))
    .filter(([, { op }]) => op !== "port")
    .reduce((sum, [graph, node]) => sum + Math.max(flopsOf(graph, node), sizeOf((node.type as TensorType).shape)), 0);
}

function checkSize(program: PlannedProgram, most: number): void {
  const operations = operationsOf(program);
  if (operations <= most) return;
  const text = (n: number): string => `${Number((n / 1e9).toPrecision(3))}e9 operations`;
  throw new WebpeftError("PRECISION-SIZE", {
    message: "the evaluation in f64 that the step would be compared with takes too long",
    expected: `at most ${text(most)}, which take some minutes`,
    got: `${text(operations)}, each of them twice`,
    help: "compile for fewer rows or tokens (such as --batch 1 --length 4), or a config of the model with fewer layers (num_hidden_layers); kernels are the same for all layers",
  });
}

/**
 * Adapters begin where many of their values are zeros, and what is zero has no error: every trained number is moved by up to a hundredth,
 * as a training moves it.
 */
const moving = (executor: Executor, seed: number): Executor => ({
  ...executor,
  instantiate(program, data, options) {
    const moved = new Map(data);
    const keys = trainedTensors(program as PlannedProgram).map(({ key }) => key);
    for (const [at, key] of keys.entries()) {
      const numbers = data.get(key);
      if (!(numbers instanceof Float32Array)) continue;
      const steps = drawnNumbers(numbers.length, seed + at);
      moved.set(
        key,
        Float32Array.from(numbers, (x, i) => x + 0.02 * (steps[i]! - 0.5)),
      );
    }
    return executor.instantiate(program, moved, options);
  },
});

/**
 * Errors of every value that the dispatches of one step (of a forward pass, where the program does not train) store, on drawn weights, an adapter and a
 * batch. Throws `MEASURE-DEVICE`, `PRECISION-SIZE`, `SESSION-OPTION` and what a session throws.
 */
export async function precisionOf(
  program: PlannedProgram,
  source: SessionSource,
  options: PrecisionOptions = {},
): Promise<Precision> {
  checkOptions(options, checks, "SESSION-OPTION");
  const { seed = 0, device = "auto", mostOperations = 4e9, ...more } = options;
  const chosen = await chooseExecutor(device, { signal: more.signal, target: program.target });
  try {
    checkDevice(program, chosen);
    checkSize(program, mostOperations);
    const stages: { readonly name: StageName; readonly nodes: readonly NodeError[] }[] = [];
    const compared = comparedExecutor(chosen.executor, (name, nodes) => stages.push({ name, nodes }));
    const session = await startSession(
      program,
      { ...source, model: drawnModel(source.model, seed) },
      { ...more, device: moving(compared, seed), seed },
    );
    try {
      const batch = drawnBatch(program, seed);
      await (program.mode === "train" ? session.step(batch) : session.forward(batch));
      return { device: chosen.executor.description, seed, stages };
    } finally {
      session.dispose();
    }
  } finally {
    chosen.release();
  }
}
