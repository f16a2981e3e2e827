/** Every decoder that can be built. */

import type { ModelFamily } from "../module.ts";
import { cohere, cohere2 } from "./cohere.ts";
import { gemma, gemma2, gemma3 } from "./gemma.ts";
import { glm, glm4 } from "./glm.ts";
import { bloom, falcon, gptNeox } from "./gpt-neox.ts";
import { gpt2, gptBigcode, opt } from "./gpt2.ts";
import { ernie, helium } from "./helium.ts";
import { granite, llama, ministral, mistral, qwen2, qwen3, seedOss, smollm3 } from "./llama.ts";
import { cwm, hunyuan, ministral3 } from "./ministral.ts";
import { mixtral, olmoe, qwen2Moe, qwen3Moe } from "./mixtures.ts";
import { arcee, nemotron } from "./nemotron.ts";
import { exaone4, olmo, olmo2, olmo3 } from "./olmo.ts";
import { phi, phi3 } from "./phi.ts";
import { stablelm, starcoder2 } from "./stablelm.ts";

export const decoders: readonly ModelFamily[] = [
  ...[llama, mistral, qwen2, gpt2, phi],
  ...[ministral, qwen3, smollm3, granite, gemma, gemma2, gemma3, olmo2, olmo3, cohere, cohere2],
  ...[phi3, gptNeox, falcon, opt, stablelm, starcoder2],
  ...[mixtral, qwen2Moe, qwen3Moe, olmoe, glm, glm4, exaone4],
  ...[ministral3, cwm, hunyuan, seedOss, helium, ernie, arcee, nemotron, olmo, bloom, gptBigcode],
];
