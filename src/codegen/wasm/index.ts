/** WebAssembly of a plan. */
export { relaxedSimd } from "../target.ts";
export { encodeModule } from "./encode.ts";
export { pageBytes, pagesOf } from "./layout.ts";
export { link, scratchGlobal } from "./link.ts";
export { type MemoryMap, mapMemory, useOfMemory } from "./memory-map.ts";
export { printModule, programText } from "./wat.ts";
