/** What executors ask of a program to tell what memory it will take. */
import { type ExecutableProgram, parameterStages, type Stage, type StageName, sliceOf } from "../../program/index.ts";
import { programPorts, type Reads } from "./executor.ts";

/** What a forward pass gives: of a program that trains its loss lies in storage. */
export function forwardReads({ stages, storage }: ExecutableProgram): Reads {
  const outputs = stages.find(({ name }) => name === "forward")?.graph.outputs ?? [];
  return [outputs.map(({ name }) => name).filter((name) => name === "loss" || sliceOf(storage, name) === undefined)];
}

/** What a training reads, which saves its parameters at its end, or else a forward pass. `evaluates`: forward passes come between the steps. */
export function usualReads(program: ExecutableProgram, evaluates = false): Reads {
  if (!program.stages.some(({ name }) => name === "update")) return forwardReads(program);
  const params = Object.entries(program.storage.bindings).filter(([, { buffer }]) => buffer === "params");
  return [["status"], ...(evaluates ? forwardReads(program) : []), ...params.map(([name]) => [name])];
}

/** A stage that runs, and the lists of its outputs that are read of it: each of one run. */
interface ReadStage {
  readonly stage: Stage;
  readonly reads: Reads;
}

/** Stages that only a step takes which changes parameters, and those that predictions take, which no forecast asks for. */
const ofUpdates: readonly StageName[] = ["accumulate", "update"];
const ofPredictions: readonly StageName[] = ["predict", parameterStages.predict];
const ofForward: readonly StageName[] = ["forward", parameterStages.forward];

/**
 * The stages that run where these lists are read, a step before a forward pass. What a forward pass gives is read of that, all else of a step;
 * gradients alone change no parameters.
 */
export function stagesRead({ stages, storage }: ExecutableProgram, reads: Reads): ReadStage[] {
  const forward = new Set(stages.find(({ name }) => name === "forward")?.graph.outputs.map(({ name }) => name));
  const isForward = (list: readonly string[]): boolean => list.every((name) => forward.has(name));
  const ofStep = reads.filter((list) => !isForward(list));
  const updates = ofStep.flat().some((name) => sliceOf(storage, name)?.buffer !== "grads");
  const runs = ({ name }: Stage): boolean => {
    if (ofForward.includes(name)) return reads.some(isForward);
    if (ofPredictions.includes(name)) return false;
    return name === "prepare" || (ofStep.length > 0 && (updates || !ofUpdates.includes(name)));
  };
  const ran = stages.filter(runs);
  const last = ran.filter(({ name }) => ofForward.includes(name));
  return [...ran.filter((stage) => !last.includes(stage)), ...last].map((stage) => {
    const own = new Set(stage.graph.outputs.map(({ name }) => name));
    const lists = ofForward.includes(stage.name) ? reads.filter(isForward) : ofStep;
    const wanted = lists.map((list) => list.filter((name) => own.has(name))).filter(({ length }) => length > 0);
    return { stage, reads: wanted.length === 0 ? [[]] : wanted };
  });
}

/** Names of the frozen ports that are no weights of the base. */
export const tablesOf = (program: ExecutableProgram): ReadonlySet<string> =>
  new Set(
    [...programPorts(program).values()]
      .filter(({ name, role }) => role === "buffer" && sliceOf(program.storage, name) === undefined)
      .map(({ name }) => name),
  );
