/** What the other rooms import from `codegen`. */
export { generate } from "./generate.ts";
export { interpret } from "./interpret.ts";
export type { KernelIR } from "./kernel.ts";
export { KernelTable } from "./kernel-table.ts";
export { isOnDemand } from "./layout.ts";
export type * from "./plan.ts";
export { printKernel } from "./print-kernel.ts";
export { longSum } from "./schedule/long-sums.ts";
export { cpuTarget, defaultLimits, defaultTarget, type Target, type TargetLimits, targetOf } from "./target.ts";
