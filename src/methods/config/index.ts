/** Adapter configs: what they say, which modules they hit, and how their tensors are called. */
export { type LoadPlan, type LoadRequest, planLoading, type TensorSpec } from "./checkpoint.ts";
export { commonFields, peftTypes, peftVersion, sharedFields } from "./common.ts";
export { checkExpertName, namedExperts } from "./experts.ts";
export { checkAdapterName, keyParser, modulePrefix, sharedKey, siteKey, withoutPrefix } from "./keys.ts";
export { nameMatcher } from "./match.ts";
export { type Fields, peftTypeOf } from "./read.ts";
export { type MethodConfig, type ResolvedAdapter, resolveAdapter } from "./resolve.ts";
export type { TrainedBaseTensor } from "./trained-base.ts";
