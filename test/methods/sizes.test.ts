/** Extents that a config or a caller sets beyond what a model bears are told at once: nothing of that size is made. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { WebpeftError } from "../../src/ir/diagnostics.ts";
import { memory, smallGpt2, smallLlama, smallWeights } from "../small-models.ts";

const task = { task_type: "CAUSAL_LM" };
const layers = { target_modules: ["q_proj", "v_proj"] };
const mlp = { target_modules: ["c_fc"] };

async function faultOf(config: object | null, options: object = {}, base: object = smallLlama) {
  const model = await memory(base, smallWeights(base));
  return compile(model, config, { batch: 1, length: 4, ...options }).then(
    () => undefined,
    (error: WebpeftError) => error,
  );
}

it.each([
  ["LORA", { ...mlp, r: 1e7 }],
  ["LORA", { ...mlp, r: 2, rank_pattern: { c_fc: 1e9 } }],
  ["LORA", { ...mlp, r: 1e15 }],
  ["LOHA", { ...mlp, r: 1e7 }],
  ["VERA", { ...mlp, r: 1e8 }],
  ["VBLORA", { ...mlp, r: 2, num_vectors: 1e8, vector_length: 1, topk: 2 }],
  ["PROMPT_TUNING", { ...task, num_virtual_tokens: 1e7 }],
  ["PROMPT_TUNING", { ...task, num_virtual_tokens: 1e10 }],
  ["P_TUNING", { ...task, num_virtual_tokens: 1e7 }],
  ["P_TUNING", { ...task, num_virtual_tokens: 2, encoder_hidden_size: 1e5 }],
  ["PREFIX_TUNING", { ...task, num_virtual_tokens: 1e7 }],
  ["PREFIX_TUNING", { ...task, num_virtual_tokens: 2, prefix_projection: true, encoder_hidden_size: 1e7 }],
  ["ADAPTION_PROMPT", { ...task, adapter_len: 1e7, adapter_layers: 1 }],
])("%s %j", async (peft_type, config) => {
  expect((await faultOf({ peft_type, ...config }, {}, smallGpt2))?.code).toBe("METHOD-SIZE");
});

it("each of an adapter's tensors may fit and all of them not", async () => {
  const fault = await faultOf({ peft_type: "LORA", ...layers, r: 3e5 });
  expect(fault).toMatchObject({ code: "METHOD-SIZE", expected: `at most ${2 ** 24} elements` });
  expect(fault?.help).toContain("far too large");
});

it("ranks that a program makes room for are bounded as those of a config are", async () => {
  const fault = await faultOf({ peft_type: "LORA", ...layers, r: 2 }, { mode: "infer", maximumRank: 1e8 });
  expect(fault?.code).toBe("METHOD-SIZE");
});

it.each([
  ["rows", null, { length: 1e6 }],
  ["rows", null, { length: 1e10 }],
  ["prompts", { peft_type: "PROMPT_TUNING", ...task, num_virtual_tokens: 1e6 }, {}],
])("%s of so many tokens that no device computes them in parts", async (_name, config, options) => {
  expect((await faultOf(config, options))?.code).toBe("COMPILE-LIMIT");
});
