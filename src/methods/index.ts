/** The methods that webpeft brings, by `peft_type`; a method of one's own comes from `parseMethod`. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { builtIn, type Method, readMethod } from "./dsl/method.ts";
import { adalora } from "./peft/adalora.ts";
import { adaptionPrompt } from "./peft/adaption-prompt.ts";
import { boft } from "./peft/boft.ts";
import { bone } from "./peft/bone.ts";
import { c3a } from "./peft/c3a.ts";
import { cpt } from "./peft/cpt.ts";
import { delora } from "./peft/delora.ts";
import { fourierft } from "./peft/fourierft.ts";
import { gralora } from "./peft/gralora.ts";
import { hira } from "./peft/hira.ts";
import { hra } from "./peft/hra.ts";
import { ia3 } from "./peft/ia3.ts";
import { lnTuning } from "./peft/ln-tuning.ts";
import { loha } from "./peft/loha.ts";
import { lokr } from "./peft/lokr.ts";
import { lora } from "./peft/lora.ts";
import { miss } from "./peft/miss.ts";
import { oft } from "./peft/oft.ts";
import { pTuning } from "./peft/p-tuning.ts";
import { poly } from "./peft/poly.ts";
import { prefixTuning } from "./peft/prefix-tuning.ts";
import { promptTuning } from "./peft/prompt-tuning.ts";
import { randlora } from "./peft/randlora.ts";
import { road } from "./peft/road.ts";
import { shira } from "./peft/shira.ts";
import { trainableTokens } from "./peft/trainable-tokens.ts";
import { vblora } from "./peft/vblora.ts";
import { vera } from "./peft/vera.ts";
import { waveft } from "./peft/waveft.ts";
import { xlora } from "./peft/xlora.ts";
import type { MethodRecord } from "./record.ts";

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
    pTuning,
    adaptionPrompt,
    cpt,
    xlora,
  ]
    .map(builtIn)
    .map((method) => [method.peftType, method]),
);

/** The methods of the registry and their variants. */
export const everyMethod: readonly Method[] = [
  ...methods.values(),
  ...[...methods.values()].flatMap(({ variant }) => (variant === undefined ? [] : [variant.method])),
];

/**
 * A method of one's own, whose text may also call what the methods above bring for themselves. Throws WebpeftError with every fault of the
 * text.
 */
export const ownMethod = ({ builtins = [], ...record }: MethodRecord): Method =>
  readMethod({ ...record, builtins: [...everyMethod.flatMap(({ record }) => record.builtins ?? []), ...builtins] });

/** Reads a fragment given as text; throws WebpeftError with every fault of the text. */
export const parseMethod = (text: string, file = "method"): Method => ownMethod({ text, file });

/**
 * The method of a type that a config is for; undefined for an unknown type. Throws `CONFIG-FIELDS-MIXED` when a config of a variant has
 * fields that only the other method knows.
 */
export function methodFor(peftType: string, config: object): Method | undefined {
  const usual = methods.get(peftType);
  const variant = usual?.variant;
  const names = Object.keys(config);
  if (usual === undefined || variant === undefined || !names.some((name) => name.startsWith(variant.prefix)))
    return usual;
  const own = new Set(variant.method.fields.map(({ name }) => name));
  const foreign = usual.fields.find(({ name }) => names.includes(name) && !own.has(name));
  if (foreign === undefined) return variant.method;
  throw new WebpeftError("CONFIG-FIELDS-MIXED", {
    message: `the config has fields of two methods: ${foreign.name}, and fields that begin with ${variant.prefix}`,
    where: foreign.name,
    expected: `either ${foreign.name} or ${variant.prefix}* fields`,
  });
}

export { fileNote } from "./dsl/constraints.ts";
export type { Elaboration } from "./dsl/elaborate.ts";
export type { AdditionOperands, Expert, SiteOperands, SiteResult } from "./dsl/elaboration-types.ts";
export { type BaseFacts, unknownBase } from "./dsl/elaboration-types.ts";
export type { BaseOf } from "./dsl/host-graphs.ts";
export { elaborateModel, type Method } from "./dsl/method.ts";
export { absent, operatorValue, tensorValue } from "./dsl/value.ts";
export type { Site } from "./site.ts";
export { evaluation, type Origin, type Situation } from "./situation.ts";
