/** The methods that webpeft brings, by `peft_type`; a method of one's own comes from `parseMethod`. */
import type { Method } from "./dsl/method.ts";
import { ia3 } from "./ia3.ts";
import { lora } from "./lora.ts";

export const methods: ReadonlyMap<string, Method> = new Map([lora, ia3].map((method) => [method.peftType, method]));

export type { ElaboratedTensor, Elaboration, ElaborationInput, SiteOperands, SiteResult } from "./dsl/elaborate.ts";
export { elaborateModel, type Method, parseMethod } from "./dsl/method.ts";
export type { MethodSite } from "./dsl/scope.ts";
