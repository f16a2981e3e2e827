/** What the dispatches of a kernel do together, for which modules and lines of formulas. */
import type { Dispatch } from "../codegen/index.ts";
import { modulesOf, type NodeWork } from "../ir/modules.ts";
import { joined, linesOf, type PlacedNode, sitesOf } from "./places.ts";

/** A node that a dispatch computes. */
export type WorkingNode = PlacedNode & NodeWork;

export interface KernelWork {
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
  readonly reads: number;
  readonly writes: number;
  /** Modules that it computes for, without numbers of layers. */
  readonly sites: readonly string[];
  /** Lines of formulas, `file:line`. */
  readonly lines: readonly string[];
}

/** The work with one more dispatch, which computes `nodes`. */
export const withDispatch = (
  before: KernelWork | undefined,
  { flops, bytes, reads, writes }: Pick<Dispatch, "flops" | "bytes" | "reads" | "writes">,
  nodes: readonly WorkingNode[],
): KernelWork => ({
  dispatches: (before?.dispatches ?? 0) + 1,
  flops: (before?.flops ?? 0) + flops,
  bytes: (before?.bytes ?? 0) + bytes,
  reads: (before?.reads ?? 0) + reads,
  writes: (before?.writes ?? 0) + writes,
  sites: joined(before?.sites, sitesOf(modulesOf(nodes))),
  lines: joined(before?.lines, linesOf(nodes)),
});
