/** What a run of a plan takes and gives: the same for every step of a training, so that it is found out once. */
import type { Dispatch, Plan, PlannedStage, PlannedValue } from "../../codegen/plan.ts";
import { compact, portName, portRole } from "../../ir/graph.ts";
import { type ExecutableProgram, type ProgramStorage, type StageName, sliceOf } from "../../program/index.ts";
import { inputData, programPorts, type RunInputs, stageOf } from "./executor.ts";
import { writeWords } from "./words.ts";

/** A run with certain stages and wishes. */
export interface Recipe {
  readonly stages: readonly PlannedStage[];
  readonly want: ReadonlySet<string>;
  readonly inputs: readonly PlannedValue[];
  /** Where what is wanted is when the stages have run; pieces in order. */
  readonly results: readonly PlannedValue[];
}

export class Recipes {
  private readonly known = new Map<string, Recipe>();
  private readonly inputBytes: number;
  private readonly ports;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly plan: Plan,
  ) {
    this.ports = programPorts(program);
    this.inputBytes = plan.buffers.find((b) => b.name === "inputs")?.bytes ?? 0;
  }

  of(names: readonly StageName[], want: readonly string[]): Recipe {
    const key = JSON.stringify([names, want]);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const stages = names.map((name) => this.plan.stages.find((s) => s.name === name)!);
    const needed = new Set(names.flatMap((name) => this.neededInputs(name, want)));
    const inputs = this.plan.inputs.filter((input) => needed.has(input.name));
    const results = want.flatMap((name) => plannedResult(this.program.storage, stages, name));
    const recipe = { stages, want: new Set(want), inputs, results };
    this.known.set(key, recipe);
    return recipe;
  }

  /** Inputs that a stage reads when these outputs are wanted. */
  private neededInputs(stage: StageName, want: readonly string[]): string[] {
    const { graph } = stageOf(this.program, stage);
    const outputs = graph.outputs.filter(
      ({ name }) => sliceOf(this.program.storage, name) !== undefined || want.includes(name),
    );
    return compact({ ...graph, outputs })
      .nodes.filter((node) => node.op === "port" && portRole(node) === "input")
      .map(portName);
  }

  /** The bytes of the buffer of inputs; of its own, since the caller's arrays and the next run's inputs may change before it is used. */
  inputWords(recipe: Recipe, inputs: RunInputs): Uint8Array<ArrayBuffer> {
    const words = new ArrayBuffer(recipe.inputs.length > 0 ? this.inputBytes : 0);
    this.writeInputs(recipe, inputs, words, 0);
    return new Uint8Array(words);
  }

  /** Writes what a run reads into a buffer of inputs that begins at `begin`. */
  writeInputs(recipe: Recipe, inputs: RunInputs, memory: ArrayBufferLike, begin: number): void {
    for (const { name, offset, dtype } of recipe.inputs) {
      if (sliceOf(this.program.storage, name) === undefined)
        writeWords(memory, begin + offset, inputData(inputs, this.ports.get(name)!), dtype);
    }
  }
}

/** Where a result is when the stages have run: in pieces when it is too large for a binding. */
export function plannedResult(
  storage: ProgramStorage,
  stages: readonly PlannedStage[],
  name: string,
): readonly PlannedValue[] {
  const slice = sliceOf(storage, name);
  if (slice !== undefined)
    return [{ name, dtype: "f32", shape: [slice.size], buffer: slice.buffer, offset: 4 * slice.offset }];
  const found = stages.map((s) => s.outputs.filter((o) => o.name === name)).findLast((pieces) => pieces.length > 0);
  if (found === undefined) throw new Error(`no stage of ${stages.map((s) => s.name).join(", ")} has an output ${name}`);
  return found;
}

/** Whether a dispatch has to run when these results are wanted. */
export const isNeeded = (dispatch: Dispatch, want: ReadonlySet<string>): boolean =>
  dispatch.always || dispatch.outputs.some((name) => want.has(name));

/** Results by name, row-major; pieces put together. `read` gives the numbers of one piece. */
export function joinPieces<V extends PlannedValue>(
  values: readonly V[],
  read: (value: V) => Float32Array,
): Record<string, Float32Array> {
  const byName = new Map<string, V[]>();
  for (const value of values) byName.set(value.name, [...(byName.get(value.name) ?? []), value]);
  return Object.fromEntries(
    [...byName].map(([name, pieces]) => {
      if (pieces.length === 1) return [name, read(pieces[0]!)];
      const parts = pieces.map((piece) => ({ from: piece.from!, numbers: read(piece) }));
      const whole = new Float32Array(parts.reduce((sum, { numbers }) => sum + numbers.length, 0));
      for (const { from, numbers } of parts) whole.set(numbers, from);
      return [name, whole];
    }),
  );
}
