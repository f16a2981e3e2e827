export { type WebgpuExecutor, type WebgpuOptions, webgpuExecutor } from "./executor.ts";
export { PipelineCache } from "./pipelines.ts";
