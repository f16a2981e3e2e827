/** The memory of a module: buffers of the plan, then what its calls read, then a piece of every thread's own. */
import type { MemoryUse } from "../../program/memory.ts";
import { buffersMade, type PlanFacts, useOfBuffers } from "../layout/memory-use.ts";
import type { Generated } from "../plan.ts";
import { aligned, layoutMemory } from "./layout.ts";
import { type LinkedProgram, link } from "./link.ts";

export interface MemoryMap {
  readonly linked: LinkedProgram;
  addressOf(buffer: string): number;
  /** Where the places of calls begin, the words that threads meet at, and the first thread's own memory. */
  readonly places: number;
  readonly control: number;
  readonly scratch: number;
  /** Bytes of every thread's own memory. */
  readonly own: number;
  readonly threads: number;
  readonly bytes: number;
}

export interface MapOptions {
  readonly threads: number;
  /** Bytes of the words that threads meet at. */
  readonly controlBytes: number;
  readonly fuses: boolean;
}

export function mapMemory(generated: Generated, { threads, controlBytes, fuses }: MapOptions): MemoryMap {
  const { addresses, end: places } = layoutMemory(generated.plan);
  const addressOf = (buffer: string): number => addresses.get(buffer)!;
  const linked = link(generated, { map: { bytes: places, addressOf }, fuses });
  const words = [...linked.calls.values()].flat().reduce((sum, call) => sum + call.places.length, 0);
  const control = aligned(places + 4 * words);
  const scratch = aligned(control + controlBytes);
  const own = aligned(linked.scratchBytes);
  return { linked, addressOf, places, control, scratch, own, threads, bytes: scratch + threads * own };
}

/** What runs touch of it: a large result is memory only once it is written, as one that is wanted is. */
export function useOfMemory(
  { places, bytes }: Pick<MemoryMap, "places" | "bytes">,
  facts: PlanFacts,
  wanted: ReadonlySet<string>,
): MemoryUse {
  const made = [...buffersMade(facts.plan, wanted)].map(([name, size]) => [name, aligned(size)] as const);
  const use = useOfBuffers(facts, new Map(made));
  return { ...use, kernels: use.kernels + bytes - places };
}
