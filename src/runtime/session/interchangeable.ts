/** Whether adapters can share an instance, which then holds the parameters of one at a time. */
import { hashGraph } from "../../ir/hash.ts";
import type { CompiledProgram } from "../../program/index.ts";
import { sameBase } from "../values/base-tensors.ts";
import type { AdapterValues, LoadedProgram } from "../values/values.ts";

/** By program, because hashing its graphs takes longer than what else there is to do. */
const identities = new WeakMap<CompiledProgram, string>();

function identityOf(program: CompiledProgram): string {
  const known = identities.get(program);
  if (known !== undefined) return known;
  const stages = program.stages.map(({ name, graph }) => [name, hashGraph(graph)]);
  const made = JSON.stringify([stages, program.storage]);
  identities.set(program, made);
  return made;
}

/** Whether one instance can run both: the same graphs over the same storage, and the same numbers in what does not train. */
export const interchangeable = (a: LoadedProgram, b: LoadedProgram): boolean =>
  identityOf(a.program) === identityOf(b.program) &&
  sameNumbers(a.values.buffers, b.values.buffers) &&
  sameBase(a.values, b.values);

function sameNumbers(a: AdapterValues["buffers"], b: AdapterValues["buffers"]): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, data]) => {
      const other = b.get(name);
      return other?.length === data.length && data.every((x, i) => Object.is(x, other[i]));
    })
  );
}
