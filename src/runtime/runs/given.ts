/** What a kernel was given that stored the first number that is not finite: enough to see it again without the model, and no weights of all of it. */
import { nodeName } from "../../ir/graph.ts";
import { typeText } from "../../ir/types.ts";
import type { GivenToKernel, GivenValue } from "../../program/run-records.ts";
import type { RunInputs, TracedStep } from "../executors/executor.ts";

/** Numbers that are kept whole, of all values together; and those of a value where they are more. */
const [mostNumbers, mostOfPart] = [2 ** 18, 256] as const;

interface StoredNumbers {
  readonly id: number;
  readonly data: Float32Array;
}

/** Nothing where there are no kernels. */
export function givenOf(
  step: TracedStep,
  { id: stored, data }: StoredNumbers,
  read: ReadonlyMap<number, Float32Array>,
  { run, inputs }: { readonly run: number; readonly inputs: RunInputs },
): GivenToKernel | undefined {
  const { graph, stage, dispatch } = step;
  if (dispatch === undefined) return undefined;
  const first = data.findIndex((x) => !Number.isFinite(x));
  const isWhole = [...read.values()].reduce((sum, { length }) => sum + length, 0) <= mostNumbers;
  const values = [...read].map(([id, numbers]): GivenValue => {
    // Where a value has as many numbers as what was stored, those at the same place were read for it.
    const middle = numbers.length === data.length ? first : 0;
    const from = isWhole ? 0 : Math.max(0, Math.min(middle - mostOfPart / 2, numbers.length - mostOfPart));
    const own = isWhole ? numbers : numbers.slice(from, from + mostOfPart);
    const { type } = graph.nodes[id]!;
    return { id, node: nodeName(graph, id), type: typeText(type), count: numbers.length, from, numbers: own };
  });
  const scalars = Object.entries(inputs).flatMap(([name, own]) => (own.length === 1 ? [[name, own[0]!] as const] : []));
  const place = { stage, dispatch: dispatch.at, kernel: dispatch.kernel, stored, first, run };
  return { ...place, scalars: Object.fromEntries(scalars), isWhole, values };
}
