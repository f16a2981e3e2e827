/** Finds which parameter an update would have made too large: nothing that it stores shows it, since it changes nothing then. */
import type { CompiledProgram } from "../../program/index.ts";
import type { NotFiniteOrigin } from "../../program/run-records.ts";
import type { Instance } from "../executors/executor.ts";
import { firstOfKernel, isFiniteF32, originOf, type RunAgain, readNumbers } from "./non-finite.ts";
import { fieldsOf, NotFiniteError } from "./not-finite-error.ts";

type ParameterSlice = readonly [key: string, from: number, to: number];

/** The parameter that a place in the flat buffers belongs to. */
function parameterAt({ storage }: CompiledProgram, place: number): ParameterSlice | undefined {
  for (const [key, { buffer, offset, size }] of Object.entries(storage.bindings))
    if (buffer === "params" && place >= offset && place < offset + size) return [key, offset, offset + size];
  return undefined;
}

/** The first node of the update whose numbers f32 cannot hold, evaluated on what its kernel reads. */
async function originOfUpdate(
  program: CompiledProgram,
  instance: Instance,
  { inputs }: RunAgain,
): Promise<NotFiniteOrigin | undefined> {
  let found: NotFiniteOrigin | undefined;
  await instance.trace?.(["update"], inputs, ["status"], async (step) => {
    const read = await readNumbers(step);
    for (const stored of step.stores) {
      const suspect = firstOfKernel(step, stored, read);
      if (suspect === undefined) continue;
      const place = Array.from(suspect.data).findIndex((x) => !isFiniteF32(x));
      const [parameter, ...part] = parameterAt(program, place) ?? [];
      found = {
        ...originOf(step, suspect, parameter === undefined ? undefined : part),
        ...(parameter && { parameter }),
      };
      return false;
    }
    return true;
  });
  return found;
}

/**
 * The error for a step whose new parameters or moments are not finite, while its loss and gradient are. `run`: the last of the step, which the
 * instance is as it was after.
 */
export async function updateOverflow(
  program: CompiledProgram,
  instance: Instance,
  run: RunAgain,
  step: number,
): Promise<NotFiniteError> {
  const origin = await originOfUpdate(program, instance, run);
  const { message, where = "update", got } = fieldsOf(origin);
  return new NotFiniteError(
    "TRAIN-NOT-FINITE",
    {
      message: `step ${step + 1} would have made parameters or moments that f32 cannot hold${origin === undefined ? "" : `: ${message}`}`,
      where,
      ...(got === undefined ? {} : { got }),
      help: "use a smaller learning rate or weight decay, or clip the gradient; the parameters are as they were before this step",
    },
    origin,
  );
}
