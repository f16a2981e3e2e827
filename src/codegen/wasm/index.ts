/** WebAssembly of a plan. */
export { relaxedSimd } from "../target.ts";
export { encodeModule } from "./encode.ts";
export { aligned, layoutMemory, pageBytes, pagesOf } from "./layout.ts";
export { link, scratchGlobal } from "./link.ts";
export { printModule, programText } from "./wat.ts";
