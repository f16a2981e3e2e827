import { describe, expect, test } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import type { MethodConfig } from "../../src/methods/config/index.ts";
import type { ModuleInfo } from "../../src/models/model.ts";
import { goldenJson } from "./golden.ts";
import { fourierft, ia3, like, lora, oft, vera } from "./methods.ts";
import { bert, gpt2, llama, net } from "./models.ts";
import { hits, messageOf, resolve } from "./resolving.ts";

const small = (): ModuleInfo[] => net("lin0", "mylin0", "layers.0.q", "layers.1.q", "layers.2.q", "a_head");

describe("all-linear", () => {
  test("takes every linear layer but the output embedding, and stores the names", () => {
    const resolved = resolve({ target_modules: "ALL-linear" });
    expect(resolved.sites).toHaveLength(14);
    expect(resolved.fields.target_modules).toHaveLength(14);
    expect(resolved.savedConfig.target_modules).toEqual([...(resolved.fields.target_modules as string[])].sort());
    const golden = goldenJson("cases/llama-lora-all-linear/adapter_config.json");
    expect(resolved.savedConfig.target_modules).toEqual([...(golden.target_modules as string[])].sort());
  });

  test("leaves out the head of a sequence classifier", () => {
    const paths = hits({ target_modules: "all-linear", task_type: "SEQ_CLS" }, { modules: bert(), modelType: "bert" });
    expect(paths).not.toContain("classifier");
    expect(paths).toContain("bert.pooler.dense");
    expect(hits({ target_modules: "all-linear" }, { modules: bert(), modelType: "bert" })).toContain("classifier");
  });

  test.each(["TOKEN_CLS", "QUESTION_ANS"])("%s: the head is set aside first", (task_type) => {
    const modules = [...bert().slice(0, -1), ...net(task_type === "TOKEN_CLS" ? "classifier" : "qa_outputs")];
    const resolved = resolve({ target_modules: "all-linear", task_type }, { modules, modelType: "bert" });
    expect(resolved.modulesToSave).toHaveLength(1);
    expect(resolved.sites.map((site) => site.path)).not.toContain(resolved.modulesToSave[0]);
  });

  test("twenty targets and more are compressed, so that the layer filter works on them again", () => {
    const config = { target_modules: "all-linear", layers_to_transform: [1] };
    expect(resolve({ target_modules: "all-linear" }, { modules: llama(3) }).savedConfig.target_modules).toEqual([
      "down_proj",
      "gate_proj",
      "k_proj",
      "o_proj",
      "q_proj",
      "up_proj",
      "v_proj",
    ]);
    expect(hits(config, { modules: llama(3) })).toHaveLength(7);
    expect(hits(config, { modules: llama(2) })).toHaveLength(14);
    const kept = resolve({ target_modules: "all-linear", feedforward_modules: [] }, { method: ia3, modules: llama(3) });
    expect(kept.savedConfig.target_modules).toHaveLength(21);
  });
});

describe("default targets", () => {
  test.each<[string, MethodConfig, ModuleInfo[], string, string[]]>([
    ["base on gpt2", oft, gpt2(), "gpt2", ["c_attn"]],
    ["base on bert", lora, bert(), "bert", ["query", "value"]],
    ["FourierFT on gpt2", fourierft, gpt2(), "gpt2", ["mlp.c_proj"]],
    ["IA3 on gpt2", ia3, gpt2(), "gpt2", ["c_attn", "mlp.c_proj"]],
    ["IA3 on bert", ia3, bert(), "bert", ["key", "output.dense", "value"]],
    ["IA3 on qwen2", ia3, llama(), "qwen2", ["down_proj", "q_proj", "v_proj"]],
    ["VeRA on phi", vera, llama(), "phi", ["q_proj", "v_proj"]],
    ["base on phi", lora, llama(), "phi", ["fc1", "fc2", "q_proj", "v_proj"]],
  ])("%s", (_name, method, modules, modelType, expected) => {
    expect(resolve({}, { method, modules, modelType }).savedConfig.target_modules).toEqual(expected);
  });

  test("bert's output.dense is a suffix and hits the attention's too", () => {
    const paths = hits({}, { method: ia3, modules: bert(), modelType: "bert" });
    expect(paths).toContain("bert.encoder.layer.0.attention.output.dense");
    expect(paths).toContain("bert.encoder.layer.0.output.dense");
  });

  test("other tables", () => {
    const other = (peftType: string, kinds: string[], modules: ModuleInfo[], modelType: string) =>
      resolve({}, { method: { ...like(peftType), siteKinds: kinds, fields: [] }, modules, modelType });
    expect(other("LN_TUNING", [], llama(), "llama").sites).toHaveLength(5);
    expect(other("LN_TUNING", [], llama(), "qwen2").sites).toHaveLength(2);
    expect(other("VBLORA", ["linear"], gpt2(), "gpt2").sites).toHaveLength(2);
    expect(other("TRAINABLE_TOKENS", ["embedding"], gpt2(), "gpt2").savedConfig.target_modules).toBe("transformer.wte");
    const layers = { name: "adapter_layers", type: "int", nullable: true, default: null } as const;
    const adaption = { ...like("ADAPTION_PROMPT"), siteKinds: ["attention"], fields: [layers] };
    const last = (count: number) =>
      resolve({ adapter_layers: count }, { method: adaption, modules: gpt2(), modelType: "gpt2" });
    expect(last(2).savedConfig.target_modules).toBe("attn");
    expect(last(2).sites.map((site) => site.path)).toEqual(["transformer.h.0.attn", "transformer.h.1.attn"]);
    expect(last(1).sites.map((site) => site.path)).toEqual(["transformer.h.1.attn"]);
    expect(other("XLORA", [], llama(), "llama").sites).toEqual([]);
  });

  test("of a model type without any", () => {
    const none = "Please specify `target_modules` in `peft_config`";
    expect(messageOf({}, { modelType: "vit" })).toBe(none);
    expect(messageOf({}, { modelType: "constructor" })).toBe(none);
    const text = "Please specify `target_modules` or `target_parameters`in `peft_config`";
    expect(messageOf({}, { method: lora, modelType: "vit" })).toBe(text);
    const adaption = { ...like("ADAPTION_PROMPT"), siteKinds: ["attention"], fields: [] };
    expect(messageOf({}, { method: adaption, modelType: "bert" })).toBe(
      "Unsupported model type for adaption prompt: 'bert'.",
    );
  });
});

describe("errors when nothing is hit, in PEFT's words", () => {
  const options = { modules: small() };
  const found = "not found in the base model. Please check the target modules and try again.";
  test.each<[Record<string, unknown>, string]>([
    [{ target_modules: ["foo"] }, `Target modules {'foo'} ${found}`],
    [{ target_modules: ["foo", "bar"] }, `Target modules {'bar', 'foo'} ${found}`],
    [{ target_modules: "foo.*" }, `Target modules foo.* ${found}`],
    [
      { target_modules: ["q"], layers_to_transform: [7] },
      `Target modules {'q'} ${found} Note: You specified 'layers_to_transform': [7].`,
    ],
    [
      { target_modules: ["q"], layers_to_transform: 7, layers_pattern: "layers" },
      `Target modules {'q'} ${found} Note: You specified 'layers_to_transform': 7. You also specified 'layers_pattern': layers.`,
    ],
    [
      { target_modules: ["q"], layers_to_transform: [7], layers_pattern: ["layers"] },
      `Target modules {'q'} ${found} Note: You specified 'layers_to_transform': [7]. You also specified 'layers_pattern': ['layers'].`,
    ],
    [
      { target_modules: ["lin0"], exclude_modules: ".*" },
      "All modules were excluded. This is likely unintended. Check your `target_modules`, `exclude_modules` and " +
        "`modules_to_save` configuration.",
    ],
    [
      { target_modules: [] },
      "No `target_modules` passed but also no `target_parameters` found. Please check the values for these arguments.",
    ],
    [
      { target_modules: ["lin0"], exclude_modules: ["lin0"] },
      "No modules were targeted for adaptation. This might be caused by a combination of mismatched target modules and " +
        "excluded modules. Please check your `target_modules` and `exclude_modules` configuration. You may also have only " +
        "targeted modules that are marked to be saved (`modules_to_save`).",
    ],
  ])("%j", (config, message) => expect(messageOf(config, options)).toBe(message));

  test("VeRA looks for layers first", () => {
    expect(messageOf({ target_modules: ["foo"] }, { method: vera })).toBe(
      "No layers types compatible with VeRA were found. Please check `peft_config.target_modules`.",
    );
  });

  test("names that no module has are warned of", () => {
    const sink = new DiagnosticSink();
    hits({ target_modules: ["lin0", "nope", "q"] }, { modules: small(), sink });
    expect(sink.diagnostics).toMatchObject([
      { code: "CONFIG-TARGETS-UNUSED", message: expect.stringContaining("'nope'") },
    ]);
  });

  test("an exclusion that excludes nothing is warned of", () => {
    const sink = new DiagnosticSink();
    hits({ target_modules: ["lin0"], exclude_modules: ["nope"] }, { ...options, sink });
    expect(sink.diagnostics.map((d) => d.message)).toEqual([
      "You have passed exclude_modules={'nope'} but no modules were excluded. Please check that exclude_modules was set correctly.",
    ]);
  });

  test("modules of a kind that the method cannot adapt", () => {
    expect(messageOf({ target_modules: ["self_attn"] })).toMatch(
      /^Target module model\.layers\.0\.self_attn \(attention\) is not/,
    );
    expect(messageOf({ target_modules: ["embed_tokens"] })).toContain(
      "Currently, only Linear, Conv1D can be adapted with OFT",
    );
    expect(hits({ target_modules: ["embed_tokens"] }, { method: lora })).toEqual(["model.embed_tokens"]);
  });
});
