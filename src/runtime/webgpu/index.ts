export { PipelineCache } from "./pipelines.ts";
export { type WebgpuExecutor, type WebgpuOptions, webgpuExecutor } from "./executor.ts";
