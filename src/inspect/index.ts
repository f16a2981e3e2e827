/** What the other rooms import from `inspect`. */

export { type Inspection, inspectionFiles, inspectProgram, PassRecord } from "./files.ts";
export type { GraphLevel, KernelGraph, ProgramKernel } from "./views.ts";
