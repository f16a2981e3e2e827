/** Dispatches as those see them who look at a run from inside: what they have read and stored, with its numbers. */
import type { Dispatch, Generated, TouchedTensor } from "../../codegen/index.ts";
import type { PlannedStage } from "../../codegen/plan.ts";
import { byteWidth, sizeOf } from "../../ir/types.ts";
import type { TracedStep } from "./executor.ts";
import { placedNumbers } from "./words.ts";

/** Bytes of a tensor in memory: words. */
export const touchedBytes = ({ dtype, shape }: TouchedTensor): number =>
  4 * Math.ceil((byteWidth(dtype) * sizeOf(shape)) / 4);

/** A dispatch that is over. `read` gives the bytes of a tensor as they are in memory now; its own copy. */
export function tracedStep(
  { tensors }: Generated,
  { name }: PlannedStage,
  { dispatch, at }: { readonly dispatch: Dispatch; readonly at: number },
  read: (tensor: TouchedTensor) => Promise<Uint8Array<ArrayBuffer>>,
): TracedStep {
  const { graph, dispatches } = tensors.find(({ stage }) => stage === name)!;
  const touched = dispatches[at]!;
  const nodes = (writes: boolean): number[] => [
    ...new Set(touched.filter((tensor) => tensor.writes === writes).map(({ node }) => node)),
  ];
  return {
    ...{ stage: name, graph, dispatch: { at, kernel: dispatch.kernel } },
    ...{ reads: nodes(false), stores: nodes(true) },
    async numbers(node) {
      const tensor = touched.find((one) => one.node === node);
      if (tensor === undefined) throw new Error(`dispatch ${at} of ${name} does not touch %${node}`);
      return placedNumbers(await read(tensor), tensor);
    },
  };
}
