/** What the other rooms import from `inspect`. */

export { compareDumps, type Dump, type KernelChange, type ProgramDiff } from "./diff.ts";
export { type KernelRow, type KernelSort, kernelRows, printLevel, sortKernels } from "./excerpt.ts";
export { failureFiles, type ShownAgain } from "./failure/files.ts";
export { failureRecord } from "./failure/record.ts";
export { compiledBefore } from "./failure/so-far.ts";
export { dumpVersion, inspectionFiles } from "./files.ts";
export { type MemoryFindings, memoryFindings, type RuleRow, ruleRows } from "./findings.ts";
export { bytes, count, flops, percent, ratio } from "./numbers.ts";
export { comparisonPage, reportPage } from "./report.ts";
export { type MeasuredDispatch, Trace } from "./trace.ts";
export { type Failure, lossSvg, type TrainingData, trainingPage } from "./training/page.ts";
export type { GraphLevel, KernelGraph, ProgramKernel } from "./views.ts";
