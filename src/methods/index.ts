/** The methods that webpeft brings, by `peft_type`; a method of one's own comes from `parseMethod`. */
import { adalora } from "./adalora.ts";
import { adaptionPrompt } from "./adaption-prompt.ts";
import { boft } from "./boft.ts";
import { bone } from "./bone.ts";
import { c3a } from "./c3a.ts";
import { delora } from "./delora.ts";
import type { Method } from "./dsl/method.ts";
import { fourierft } from "./fourierft.ts";
import { gralora } from "./gralora.ts";
import { hira } from "./hira.ts";
import { hra } from "./hra.ts";
import { ia3 } from "./ia3.ts";
import { lnTuning } from "./ln-tuning.ts";
import { loha } from "./loha.ts";
import { lokr } from "./lokr.ts";
import { lora } from "./lora.ts";
import { miss } from "./miss.ts";
import { oft } from "./oft.ts";
import { poly } from "./poly.ts";
import { prefixTuning } from "./prefix-tuning.ts";
import { promptTuning } from "./prompt-tuning.ts";
import { randlora } from "./randlora.ts";
import { road } from "./road.ts";
import { shira } from "./shira.ts";
import { trainableTokens } from "./trainable-tokens.ts";
import { vblora } from "./vblora.ts";
import { vera } from "./vera.ts";
import { waveft } from "./waveft.ts";

export const methods: ReadonlyMap<string, Method> = new Map(
  [
    oft,
    boft,
    ia3,
    vera,
    fourierft,
    lora,
    lnTuning,
    trainableTokens,
    loha,
    lokr,
    hra,
    miss,
    bone,
    delora,
    gralora,
    road,
    hira,
    randlora,
    shira,
    vblora,
    c3a,
    waveft,
    poly,
    adalora,
    promptTuning,
    prefixTuning,
    adaptionPrompt,
  ].map((method) => [method.peftType, method]),
);

export type { ElaboratedTensor, Elaboration, ElaborationInput } from "./dsl/elaborate.ts";
export { elaborateModel, type Method, parseMethod } from "./dsl/method.ts";
export type { AdditionOperands, SiteOperands, SiteResult } from "./dsl/operands.ts";
export type { MethodSite } from "./dsl/scope.ts";
export { absent, operatorValue, tensorValue } from "./dsl/value.ts";
