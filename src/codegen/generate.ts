/**
 * Code generation: the stages of a program and a target in, kernels and plan out. Pure and deterministic, no device.
 *
 *   stage graph -> fuse (units) -> schedule (bodies of kernel IR) -> group (dispatches) -> arena -> assemble -> canonical -> WGSL
 */
import type { ProgramStorage, Stage } from "../program.ts";
import { KernelTable } from "./kernel-table.ts";
import { PortLayout, ResultLayout } from "./layout.ts";
import type { Generated } from "./plan.ts";
import { Regions } from "./regions.ts";
import { StageLayout } from "./stage-layout.ts";
import type { Target } from "./target.ts";

export function generate(stages: readonly Stage[], storage: ProgramStorage, target: Target): Generated {
  const ports = new PortLayout(stages, storage, target.limits.maxStorageBufferBindingSize);
  const results = new ResultLayout();
  const layouts = stages.map((stage) => new StageLayout(stage, storage, target, ports, results));
  const arenaBytes = layouts.reduce((most, layout) => Math.max(most, layout.arena.bytes), 0);
  const named = [...ports.buffers(), ...results.buffers(), { name: "arena", bytes: arenaBytes }];
  const regions = new Regions(
    named.filter((b) => b.bytes > 0),
    target,
  );
  const table = new KernelTable();
  const planned = layouts.map((layout) => layout.plan(regions, table));
  const peakBytes = regions.buffers.filter((b) => b.within === undefined).reduce((sum, b) => sum + b.bytes, 0);
  return {
    kernels: table.kernels,
    plan: { buffers: regions.buffers, inputs: ports.inputs, weights: ports.weights, stages: planned, peakBytes },
  };
}
