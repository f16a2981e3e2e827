/** webpeft's only door. Importing it starts nothing. */

export { cpuTarget, defaultTarget, type Target, targetOf, wasmTarget } from "./codegen/index.ts";
export { type CompileOptions, compile } from "./compile/index.ts";
export type { Program } from "./compile/program.ts";
export type { ReportView, ViewOptions } from "./inspect/embed.ts";
export {
  failureFiles,
  type GraphLevel,
  inspectionFiles,
  type KernelGraph,
  type ProgramKernel,
} from "./inspect/index.ts";
export type { Code } from "./ir/codes/index.ts";
export { type Diagnostic, DiagnosticSink, formatDiagnostic, WebpeftError } from "./ir/diagnostics.ts";
export type { Graph, Node } from "./ir/graph.ts";
export { parseGraph } from "./ir/text/parse.ts";
export type { Combination, Combine, CombineOptions, CombineSource } from "./methods/combine/sources.ts";
export { type Method, methods, parseMethod } from "./methods/index.ts";
export { type Builtin, makesKnown, makesOperator, makesTensor } from "./methods/lib/builtin.ts";
export type { MethodRecord } from "./methods/record.ts";
export { type Methods, type OwnMethod, registry } from "./methods/registry.ts";
export * from "./methods/typed/index.ts";
export type { MemoryPart, MemoryUse } from "./program/memory.ts";
export { Batches, padBatch } from "./runtime/data/batches.ts";
export { type Example, jsonLinesExamples, textExamples } from "./runtime/data/examples.ts";
export { loadTokenizer, type TextTokenizer } from "./runtime/data/tokenizer.ts";
export { openDevice } from "./runtime/device/index.ts";
export { wasmExecutor } from "./runtime/executors/wasm/executor.ts";
export { wasmTargetHere } from "./runtime/executors/wasm/features.ts";
export { webgpuExecutor } from "./runtime/executors/webgpu/executor.ts";
export { type AdapterFiles, configsOf, readAdapter } from "./runtime/files/adapter.ts";
export { loadModel, type Model } from "./runtime/files/model.ts";
export type { PageFolder } from "./runtime/files/page-folder.ts";
export { modelFiles, saveModel } from "./runtime/files/save-model.ts";
export type { DeviceName } from "./runtime/session/executor-choice.ts";
export { type GenerateOptions, generateText } from "./runtime/session/generate.ts";
export type { HostUse, MemoryForecast } from "./runtime/session/memory.ts";
export type { OptimizerState, Session, SessionBatch, StepOptions, StepResult } from "./runtime/session/session.ts";
export type { StartOptions } from "./runtime/session/start.ts";
export { type TrainEvent, type TrainOptions, train, validationLoss } from "./runtime/training/loop.ts";
