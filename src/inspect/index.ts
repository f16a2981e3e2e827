/** What the other rooms import from `inspect`. */

export { type KernelRow, type KernelSort, kernelRows, printLevel, sortKernels } from "./excerpt.ts";
export { type Inspection, inspectionFiles, inspectProgram, PassRecord } from "./files.ts";
export type { GraphLevel, KernelGraph, ProgramKernel } from "./views.ts";
