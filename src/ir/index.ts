/** What the other rooms import from `ir`. */
export * from "./builder.ts";
export * from "./diagnostics.ts";
export * from "./evaluate.ts";
export * from "./graph.ts";
export { hashGraph, sha256 } from "./hash.ts";
export * from "./op-record.ts";
export { parseEinsum } from "./ops/contraction.ts";
export * from "./registry.ts";
export { printGraph } from "./text/print.ts";
export * from "./threefry.ts";
export * from "./types.ts";
export { type GraphLevel, verify, violations } from "./verify.ts";
