/**
 * What the other rooms import from `codegen`. Its own rooms, in the order in which work goes through them:
 *
 *   pipeline.ts   the steps from the stages of a program to kernels and plan
 *   target.ts     what is known of a device; plan.ts: what it shall do
 *   fuse/         which values are kept, and which kernel computes what: units
 *   schedule/     from a unit to a body of kernel IR: memory layouts, a list of ways of running each form
 *   emit/         the value of a graph node at an index as kernel IR: index arithmetic, names, nested blocks
 *   layout/       where values live and in which order bodies run: ports, results, arenas, hazards, groups, bindings
 *   kernel/       kernel IR: a record per construct, canonical form, WGSL, text, interpretation, verifier
 *   known.ts      what units became, for those that are alike in other stages and in the next program
 *   wasm/         kernel IR as WebAssembly: instructions, words that are known, the module's memory, bytes, text
 */
export { endsOfLoops, meets } from "./kernel/accesses.ts";
export { type DeviceChoices, interpret } from "./kernel/interpret.ts";
export { type KernelIR, partWords } from "./kernel/kernel.ts";
export { printKernel } from "./kernel/print.ts";
export { wordNames } from "./kernel/readable.ts";
export { verifyKernel } from "./kernel/verify.ts";
export { buffersMade, useOfBuffers } from "./layout/memory-use.ts";
export { placeSizes } from "./layout/sizes.ts";
export { arrange, generate, generateSoFar } from "./pipeline.ts";
export type * from "./plan.ts";
export { longSum } from "./schedule/long-sums.ts";
export {
  cpuTarget,
  defaultLimits,
  defaultTarget,
  isForProcessors,
  type Target,
  type TargetLimits,
  type Tuning,
  targetOf,
  tunings,
  wasmTarget,
} from "./target.ts";
