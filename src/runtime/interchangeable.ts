/** Whether adapters can share an instance, which then holds the parameters of one at a time. */
import { hashGraph } from "../ir/hash.ts";
import type { LoadedProgram } from "./adapters.ts";
import { sameBase } from "./base-tensors.ts";
import type { AdapterValues } from "./initial.ts";

/** Whether one instance can run both: the same graphs over the same storage, and the same numbers in what does not train. */
export function interchangeable(a: LoadedProgram, b: LoadedProgram): boolean {
  const identity = ({ program }: LoadedProgram): string =>
    JSON.stringify([program.stages.map(({ name, graph }) => [name, hashGraph(graph)]), program.storage]);
  const { values } = a;
  return identity(a) === identity(b) && sameNumbers(values.buffers, b.values.buffers) && sameBase(values, b.values);
}

function sameNumbers(a: AdapterValues["buffers"], b: AdapterValues["buffers"]): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, data]) => {
      const other = b.get(name);
      return other?.length === data.length && data.every((x, i) => Object.is(x, other[i]));
    })
  );
}
