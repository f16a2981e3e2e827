/**
 * An instance that keeps what parameters alone decide (`parameterStages`): a run of a stage that reads such values begins with the stage that
 * makes them where parameters have changed since, or where another stage's values stand in their place.
 */
import {
  type ExecutableProgram,
  type MainStage,
  parameterStages,
  type StageName,
  sliceOf,
} from "../../program/index.ts";
import type { Instance, RunInputs } from "./executor.ts";

/** Of every stage that reads values of parameters alone the stage that makes them. */
function makersOf({ stages }: ExecutableProgram): ReadonlyMap<StageName, StageName> {
  const names = new Set(stages.map(({ name }) => name));
  const pairs = Object.entries(parameterStages) as [MainStage, StageName][];
  const makers = new Map<StageName, StageName>(pairs.filter(([, maker]) => names.has(maker)));
  const micro = makers.get("micro");
  return micro === undefined ? makers : makers.set("parameters_backward", micro);
}

export function withParameterStages(program: ExecutableProgram, instance: Instance): Instance {
  const makers = makersOf(program);
  if (makers.size === 0) return instance;
  const isParameters = (name: string): boolean => sliceOf(program.storage, name)?.buffer === "params";
  const changing = new Set(
    program.stages.filter(({ graph }) => graph.outputs.some(({ name }) => isParameters(name))).map(({ name }) => name),
  );
  const making = new Set(makers.values());
  /** The stage whose values there are. */
  let made: StageName | undefined;
  const withMakers = (stages: readonly StageName[]): StageName[] =>
    stages.flatMap((stage) => {
      const maker = makers.get(stage);
      const needed = maker === undefined || maker === made ? [] : [maker];
      if (changing.has(stage)) made = undefined;
      else if (making.has(stage)) made = stage;
      else made = maker ?? made;
      return [...needed, stage];
    });
  const trace = instance.trace?.bind(instance);
  return {
    get memory() {
      return instance.memory;
    },
    write(name, data) {
      if (isParameters(name)) made = undefined;
      instance.write(name, data);
    },
    async run(stages: readonly StageName[], inputs: RunInputs, want?: readonly string[]) {
      try {
        return await instance.run(withMakers(stages), inputs, want);
      } catch (error) {
        made = undefined;
        throw error;
      }
    },
    ...(trace === undefined
      ? {}
      : {
          // What is made anew may be left half made.
          async trace(stages, inputs, want, visit) {
            made = undefined;
            const all = withMakers(stages);
            made = undefined;
            await trace(all, inputs, want, visit);
          },
        }),
    read: (name) => instance.read(name),
    dispose: () => instance.dispose(),
  };
}
