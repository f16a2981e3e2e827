/** WebAssembly of a plan. */
export { encodeModule } from "./encode.ts";
export { type LinkedProgram, link, type MemoryMap, scratchGlobal, type WasmCall } from "./link.ts";
export { printModule } from "./wat.ts";
