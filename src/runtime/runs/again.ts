/** Shows a number that is not finite again, from what its kernel was given. */
import type { Generated } from "../../codegen/index.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import type { GivenToKernel, GivenValue, NotFiniteOrigin } from "../../program/run-records.ts";
import type { TracedStep } from "../executors/executor.ts";
import { firstOfKernel, originOf } from "./non-finite.ts";

/** The step of the program that was given this, or nothing where it has another kernel there. */
function stepOf({ plan, tensors }: Generated, given: GivenToKernel): TracedStep | undefined {
  const { stage, dispatch: at, kernel, values } = given;
  const own = tensors.find((one) => one.stage === stage);
  const planned = plan.stages.find(({ name }) => name === stage)?.dispatches[at];
  if (own === undefined || planned?.kernel !== kernel) return undefined;
  const { graph } = own;
  const fits = ({ id, numbers }: GivenValue): boolean =>
    graph.nodes[id] !== undefined && sizeOf((graph.nodes[id].type as TensorType).shape) === numbers.length;
  if (!values.every(fits)) return undefined;
  const numbers = async (id: number): Promise<Float32Array> => values.find((value) => value.id === id)!.numbers;
  return { stage, graph, dispatch: { at, kernel }, reads: values.map(({ id }) => id), stores: [given.stored], numbers };
}

/**
 * The nodes of the kernel evaluated again on what it was given: the first that is not finite; `finite` where all are, so that the kernel
 * itself makes it; `other` where the program does not have this kernel there.
 */
export function originAgain(generated: Generated, given: GivenToKernel): NotFiniteOrigin | "finite" | "other" {
  const step = stepOf(generated, given);
  if (step === undefined) return "other";
  const read = new Map(given.values.map(({ id, numbers }) => [id, numbers]));
  const suspect = firstOfKernel(step, given.stored, read);
  return suspect === undefined ? "finite" : originOf(step, suspect);
}
