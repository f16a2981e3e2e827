/** The words of the uniform blocks of all dispatches, in one buffer. */
import type { Dispatch, Plan } from "../plan.ts";
import { slot } from "./regions.ts";

/** Where the words of every dispatch begin, and bytes of all of them. */
export function placeSizes({ stages }: Plan): {
  readonly offsets: ReadonlyMap<Dispatch, number>;
  readonly bytes: number;
} {
  const offsets = new Map<Dispatch, number>();
  let bytes = 0;
  for (const dispatch of stages.flatMap((stage) => stage.dispatches)) {
    offsets.set(dispatch, bytes);
    bytes += slot * Math.max(1, Math.ceil((4 * dispatch.sizes.length) / slot));
  }
  return { offsets, bytes: Math.max(slot, bytes) };
}
