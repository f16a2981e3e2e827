/** What the other rooms import from `inspect`. */
export { toDot } from "./dot.ts";
export { type Inspection, inspectionFiles, inspectProgram, PassRecord } from "./files.ts";
export type { GraphLevel, KernelGraph, ProgramKernel } from "./views.ts";
