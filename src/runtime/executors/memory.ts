/** What executors ask of a program to tell what memory it will take. */
import { type ExecutableProgram, sliceOf } from "../../program/index.ts";
import { programPorts, type Reads } from "./executor.ts";

/** What a forward pass gives. */
export function forwardReads({ stages, storage }: ExecutableProgram): Reads {
  const outputs = stages.find(({ name }) => name === "forward")?.graph.outputs ?? [];
  return [outputs.map(({ name }) => name).filter((name) => sliceOf(storage, name) === undefined)];
}

/** What a training reads, which saves its parameters at its end, or else a forward pass. */
export function usualReads(program: ExecutableProgram): Reads {
  if (!program.stages.some(({ name }) => name === "update")) return forwardReads(program);
  const params = Object.entries(program.storage.bindings).filter(([, { buffer }]) => buffer === "params");
  return [["status"], ...params.map(([name]) => [name])];
}

/** Names of the frozen ports that are no weights of the base. */
export const tablesOf = (program: ExecutableProgram): ReadonlySet<string> =>
  new Set(
    [...programPorts(program).values()]
      .filter(({ name, role }) => role === "buffer" && sliceOf(program.storage, name) === undefined)
      .map(({ name }) => name),
  );
