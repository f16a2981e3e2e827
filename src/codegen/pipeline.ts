/**
 * Code generation: the stages of a program and a target in, kernels and plan out. Pure and deterministic, no device.
 *
 *   stage graph -> fuse (units) -> schedule (bodies of kernel IR) -> group (dispatches) -> arena -> assemble -> canonical -> WGSL
 */
import type { ProgramStorage, Stage } from "../program.ts";
import { KernelTable } from "./kernel/kernel-table.ts";
import { arenaName } from "./layout/arena.ts";
import { PortLayout, ResultLayout } from "./layout/ports-and-results.ts";
import { Regions } from "./layout/regions.ts";
import type { BufferSpec, Generated } from "./plan.ts";
import { StageLayout } from "./stage-layout.ts";
import type { Target } from "./target.ts";

/** The stages run one after the other: each arena is as large as the stage that needs most of it. */
function arenas(layouts: readonly StageLayout[]): BufferSpec[] {
  const count = layouts.reduce((most, { arena }) => Math.max(most, arena.bytes.length), 0);
  return Array.from({ length: count }, (_unused, i) => ({
    name: arenaName(i),
    bytes: layouts.reduce((most, { arena }) => Math.max(most, arena.bytes[i] ?? 0), 0),
  }));
}

/** `table` gets the kernels one by one, and has those that were made before an error. */
export function generate(
  stages: readonly Stage[],
  storage: ProgramStorage,
  target: Target,
  table = new KernelTable(),
): Generated {
  const ports = new PortLayout(stages, storage, target.limits.maxStorageBufferBindingSize);
  const results = new ResultLayout(target.limits.maxStorageBufferBindingSize);
  const layouts = stages.map((stage) => new StageLayout(stage, storage, target, ports, results));
  const named = [...ports.buffers(), ...results.buffers(), ...arenas(layouts)];
  const regions = new Regions(
    named.filter((b) => b.bytes > 0),
    target,
  );
  const planned = layouts.map((layout) => layout.plan(regions, table));
  const peakBytes = regions.buffers.filter((b) => b.within === undefined).reduce((sum, b) => sum + b.bytes, 0);
  return {
    kernels: table.kernels,
    plan: { buffers: regions.buffers, inputs: ports.inputs, weights: ports.weights, stages: planned, peakBytes },
  };
}
