/** What the buffers of a plan are for. */
import { byteWidth, sizeOf } from "../../ir/types.ts";
import { addedUse, type MemoryPart, type MemoryUse, partOfStorage } from "../../program/memory.ts";
import type { BufferSpec, Plan } from "../plan.ts";
import { arenaName, displacedBuffer } from "./regions.ts";
import { isOnDemand, outputsBuffer, piecesBuffer } from "./results.ts";

/** A plan, and the names of its ports that are no weights of the base but tables made beside it. */
export interface PlanFacts {
  readonly plan: Plan;
  readonly tables: ReadonlySet<string>;
}

const partOfKind: Readonly<Record<string, MemoryPart>> = {
  [arenaName(0)]: "activations",
  inputs: "results",
  [outputsBuffer]: "results",
  [piecesBuffer]: "results",
  [displacedBuffer]: "results",
};

/** What buffers of a plan are for; `made`: those that there are, with their bytes. */
export function useOfBuffers({ plan, tables }: PlanFacts, made: ReadonlyMap<string, number>): MemoryUse {
  const useOf = (name: string, bytes: number): Partial<MemoryUse> => {
    const [kind] = name.split(":", 1) as [string];
    if (kind !== "weights") return { [partOfKind[kind] ?? partOfStorage(name)]: bytes };
    const own = plan.weights.filter(({ name: port, buffer }) => buffer === name && tables.has(port));
    const inTables = own.reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * byteWidth(dtype), 0);
    return { tables: inTables, weights: bytes - inTables };
  };
  const uses = [...made].flatMap(([name, bytes]): Partial<MemoryUse>[] => {
    const inside = plan.buffers.filter(({ within }) => within?.buffer === name);
    if (inside.length === 0) return [useOf(name, bytes)];
    const told = inside.reduce((sum, part) => sum + part.bytes, 0);
    return [...inside.map((part) => useOf(part.name, part.bytes)), { activations: bytes - told }];
  });
  return addedUse(...uses);
}

/** The buffers that an instance of a plan has, with their bytes; those of large results where one of them is wanted. */
export function buffersMade({ buffers, stages }: Plan, wanted: ReadonlySet<string>): ReadonlyMap<string, number> {
  const outputs = stages.flatMap((stage) => stage.outputs);
  const asked = new Set(outputs.filter(({ name }) => wanted.has(name)).map(({ buffer }) => buffer));
  const isMade = ({ name, within }: BufferSpec): boolean =>
    within === undefined && (!isOnDemand(name) || asked.has(name));
  return new Map(buffers.filter(isMade).map(({ name, bytes }) => [name, bytes]));
}
