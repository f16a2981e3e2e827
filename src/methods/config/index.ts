/** Adapter configs: what they say, which modules they hit, and how their tensors are called. */
export { modulePrefix, siteKey } from "../site.ts";
export { checkExpertName, namedExperts } from "./experts.ts";
export { lastPart, withoutPrefix } from "./keys.ts";
export { type Fields, peftTypeOf } from "./read.ts";
export { type MethodConfig, type ResolvedAdapter, resolveAdapter } from "./resolve.ts";
export { biasMode } from "./trained-base.ts";
