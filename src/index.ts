/** webpeft's only door. Importing it starts nothing. */

export { cpuTarget, defaultTarget, type Target, targetOf } from "./codegen/index.ts";
export { type CompileOptions, compile } from "./compile.ts";
export { type Diagnostic, DiagnosticSink, formatDiagnostic, WebpeftError } from "./ir/diagnostics.ts";
export type { Graph, Node } from "./ir/graph.ts";
export { type Method, methods, parseMethod } from "./methods/index.ts";
export type { GraphLevel, Program, ProgramKernel } from "./program-object.ts";
export { type AdapterFiles, readAdapter } from "./runtime/files/adapter.ts";
export { loadModel, type Model } from "./runtime/files/model.ts";
export { saveModel } from "./runtime/files/save-model.ts";
export type { OptimizerState, Session, SessionBatch, StepOptions, StepResult } from "./runtime/session.ts";
export type { DeviceName, StartOptions } from "./runtime/start.ts";
