/**
 * Typed configs, one function per method: `oft({ oft_block_size: 32 })` is a config as `compile` takes it, with its `peft_type`.
 * Made from the methods' declarations; `npx vitest run test/docs -u` writes it again.
 */
export { type AdaloraConfig, adalora } from "./adalora.ts";
export { type AdaptionPromptConfig, adaptionPrompt } from "./adaption-prompt.ts";
export { type BoftConfig, boft } from "./boft.ts";
export { type BoneConfig, bone } from "./bone.ts";
export { type C3aConfig, c3a } from "./c3a.ts";
export { type CptConfig, cpt } from "./cpt.ts";
export { type DeloraConfig, delora } from "./delora.ts";
export { type FourierftConfig, fourierft } from "./fourierft.ts";
export { type GraloraConfig, gralora } from "./gralora.ts";
export { type HiraConfig, hira } from "./hira.ts";
export { type HraConfig, hra } from "./hra.ts";
export { type Ia3Config, ia3 } from "./ia3.ts";
export { type LnTuningConfig, lnTuning } from "./ln-tuning.ts";
export { type LohaConfig, loha } from "./loha.ts";
export { type LokrConfig, lokr } from "./lokr.ts";
export { type LoraConfig, lora } from "./lora.ts";
export { type MissConfig, miss } from "./miss.ts";
export { type OftConfig, oft } from "./oft.ts";
export { type PTuningConfig, pTuning } from "./p-tuning.ts";
export { type PolyConfig, poly } from "./poly.ts";
export { type PrefixTuningConfig, prefixTuning } from "./prefix-tuning.ts";
export { type PromptTuningConfig, promptTuning } from "./prompt-tuning.ts";
export { type RandloraConfig, randlora } from "./randlora.ts";
export { type RoadConfig, road } from "./road.ts";
export { type ShiraConfig, shira } from "./shira.ts";
export { type TrainableTokensConfig, trainableTokens } from "./trainable-tokens.ts";
export { type VbloraConfig, vblora } from "./vblora.ts";
export { type VeraConfig, vera } from "./vera.ts";
export { type WaveftConfig, waveft } from "./waveft.ts";
export { type XloraConfig, xlora } from "./xlora.ts";
