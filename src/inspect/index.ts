/** What the other rooms import from `inspect`. */
export { toDot } from "./dot.ts";
export { inspectionFiles } from "./files.ts";
