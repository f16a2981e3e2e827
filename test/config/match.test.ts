import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { type MethodConfig, resolveAdapter } from "../../src/methods/config/index.ts";
import { compileMatcher, compressTargets, nameMatcher } from "../../src/methods/config/match.ts";
import type { ModuleInfo } from "../../src/models/model.ts";
import { goldenJson, goldenTensors } from "./golden.ts";
import { fourierft, handWritten, ia3, lora, oft, vera } from "./methods.ts";
import { bert, gpt2, llama, net } from "./models.ts";

interface Options {
  method?: MethodConfig;
  modules?: ModuleInfo[];
  modelType?: string;
  sink?: DiagnosticSink;
}

function resolve(config: Record<string, unknown>, options: Options = {}) {
  const { method = oft, modules = llama(), modelType = "llama", sink = new DiagnosticSink() } = options;
  const whole = { peft_type: method.peftType, ...config };
  return resolveAdapter(whole, method, modules, { model_type: modelType }, sink);
}

const hits = (config: Record<string, unknown>, options?: Options): string[] =>
  resolve(config, options).sites.map((site) => site.module.path);

function messageOf(config: Record<string, unknown>, options?: Options): string {
  try {
    resolve(config, options);
  } catch (error) {
    expect(error).toBeInstanceOf(WebpeftError);
    return (error as WebpeftError).message;
  }
  return "no error";
}

const small = (): ModuleInfo[] => net("lin0", "mylin0", "layers.0.q", "layers.1.q", "layers.2.q", "a_head");

describe("the examples of the specification", () => {
  const modules = small();
  test.each<[Record<string, unknown>, string[]]>([
    [{ target_modules: ["lin0"] }, ["lin0"]],
    [{ target_modules: "lin0" }, ["lin0"]],
    [{ target_modules: ".*lin0" }, ["lin0", "mylin0"]],
    [{ target_modules: ["q"], exclude_modules: ["layers.0.q"] }, ["layers.1.q", "layers.2.q"]],
    [{ target_modules: ["q"], exclude_modules: "layers.[01].q" }, ["layers.2.q"]],
    [{ target_modules: ["q"], layers_to_transform: [1], layers_pattern: "layers" }, ["layers.1.q"]],
    [{ target_modules: ["q"], layers_to_transform: 1, layers_pattern: ["blocks", "layers"] }, ["layers.1.q"]],
    [
      { target_modules: ["q", "layers.0.q"], layers_to_transform: [1], layers_pattern: "layers" },
      ["layers.0.q", "layers.1.q"],
    ],
    [{ target_modules: ["q"], layers_to_transform: [] }, ["layers.0.q", "layers.1.q", "layers.2.q"]],
  ])("%j", (config, expected) => expect(hits(config, { modules })).toEqual(expected));

  test("a layer list at the top of the path counts, unlike in PEFT, and that is said", () => {
    const sink = new DiagnosticSink(true);
    expect(hits({ target_modules: ["q"], layers_to_transform: [1] }, { modules, sink })).toEqual(["layers.1.q"]);
    expect(sink.diagnostics).toMatchObject([{ code: "CONFIG-LAYERS-TOP-LEVEL", severity: "note" }]);
  });
});

describe("the order of tests", () => {
  const modules = small();
  test("exclusion wins over targets", () => {
    expect(hits({ target_modules: ["lin0", "a_head"], exclude_modules: ["lin0"] }, { modules })).toEqual(["a_head"]);
  });
  test("saved modules and all below them are no targets, by whole path parts", () => {
    const config = { target_modules: ["q", "a_head"], modules_to_save: ["layers.1"] };
    expect(hits(config, { modules })).toEqual(["layers.0.q", "layers.2.q", "a_head"]);
    const matcher = compileMatcher({
      targets: ["q"],
      exclude: null,
      modulesToSave: ["yers"],
      layers: null,
      layersPattern: null,
    });
    expect(matcher("layers.1.q")).toBe("hit");
  });
  test("a literal name skips the layer filter, a suffix does not", () => {
    const config = { target_modules: ["model.layers.0.mlp.up_proj", "q_proj"], layers_to_transform: [1] };
    expect(hits(config)).toEqual(["model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj"]);
  });
  test("the first number with two parts before it is the layer", () => {
    const nested = net("model.layers.3.experts.1.q", "model.layers.1.experts.3.q");
    expect(hits({ target_modules: ["q"], layers_to_transform: [3] }, { modules: nested })).toEqual([
      "model.layers.3.experts.1.q",
    ]);
  });
  test("a group inside of a layer pattern does not shift the number", () => {
    const config = { target_modules: ["q"], layers_to_transform: [2], layers_pattern: "(layers|blocks)" };
    expect(hits(config, { modules })).toEqual(["layers.2.q"]);
  });
  test("modules inside an adapted one are not visited", () => {
    const nested = net("a.lin", "a.lin.lin", "b.lin");
    expect(hits({ target_modules: ["lin"] }, { modules: nested })).toEqual(["a.lin", "b.lin"]);
  });
  test("names that the base's file uses are found too", () => {
    const renamed: ModuleInfo[] = [
      {
        path: "vit.layers.0.attention.q_proj",
        kind: "linear",
        layout: "linear",
        weight: "vit.encoder.layer.0.attention.attention.query.weight",
      },
    ];
    expect(hits({ target_modules: ["query"] }, { modules: renamed })).toEqual(["vit.layers.0.attention.q_proj"]);
    expect(hits({ target_modules: ["q_proj"] }, { modules: renamed })).toEqual(["vit.layers.0.attention.q_proj"]);
    expect(hits({ target_modules: ["wte"] }, { modules: gpt2(), method: lora })).toEqual(["transformer.wte"]);
  });
});

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
    expect(resolved.sites.map((site) => site.module.path)).not.toContain(resolved.modulesToSave[0]);
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

describe("compression", () => {
  test("finds the shortest suffixes that hit nothing else", () => {
    expect(compressTargets(["a.x.q", "b.x.q"], [])).toEqual(["q"]);
    expect(compressTargets(["a.x.q", "b.x.q"], ["c.y.q"])).toEqual(["x.q"]);
    expect(compressTargets(["a.q", "b.q"], ["c.q"])).toEqual(["a.q", "b.q"]);
  });

  test("never changes what is hit", () => {
    const path = fc
      .array(fc.constantFrom("a", "b", "0", "1", "q"), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join("."));
    fc.assert(
      fc.property(
        fc.uniqueArray(path, { minLength: 1, maxLength: 25 }),
        fc.uniqueArray(path, { maxLength: 12 }),
        (paths, targets) => {
          const before = paths.filter(nameMatcher(targets));
          const compressed = compressTargets(
            before,
            paths.filter((p) => !before.includes(p)),
          );
          expect(paths.filter(nameMatcher(compressed))).toEqual(before);
          expect(compressed.length).toBeLessThanOrEqual(before.length);
        },
      ),
      { numRuns: 500 },
    );
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
      resolve({}, { method: { peftType, siteKinds: kinds, fields: [] }, modules, modelType });
    expect(other("LN_TUNING", [], llama(), "llama").sites).toHaveLength(5);
    expect(other("LN_TUNING", [], llama(), "qwen2").sites).toHaveLength(2);
    expect(other("VBLORA", ["linear"], gpt2(), "gpt2").sites).toHaveLength(2);
    expect(other("TRAINABLE_TOKENS", ["embedding"], gpt2(), "gpt2").savedConfig.target_modules).toBe("transformer.wte");
    const attention = other("ADAPTION_PROMPT", ["attention"], gpt2(), "gpt2");
    expect(attention.savedConfig.target_modules).toBe("attn");
    expect(attention.sites.map((site) => site.module.path)).toEqual(["transformer.h.0.attn", "transformer.h.1.attn"]);
    expect(other("CPT", [], llama(), "llama").sites).toEqual([]);
  });

  test("of a model type without any", () => {
    const none = "Please specify `target_modules` in `peft_config`";
    expect(messageOf({}, { modelType: "vit" })).toBe(none);
    expect(messageOf({}, { modelType: "constructor" })).toBe(none);
    const text = "Please specify `target_modules` or `target_parameters`in `peft_config`";
    expect(messageOf({}, { method: lora, modelType: "vit" })).toBe(text);
    const adaption = { peftType: "ADAPTION_PROMPT", siteKinds: ["attention"], fields: [] };
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

describe("patterns", () => {
  const ranks = (config: Record<string, unknown>) =>
    Object.fromEntries(
      resolve(config, { method: lora }).sites.map(({ module, fields }) => [module.path.slice(13), fields.r]),
    );

  test("the first entry that matches wins; a leading ^ ties it to the whole name", () => {
    const pattern = { "layers.0.self_attn.q_proj": 2, q_proj: 3, "^v_proj": 4, "^model.layers.1.self_attn.v.*": 5 };
    expect(ranks({ r: 7, rank_pattern: pattern, alpha_pattern: {} })).toEqual({
      "0.self_attn.q_proj": 2,
      "0.self_attn.v_proj": 7,
      "1.self_attn.q_proj": 3,
      "1.self_attn.v_proj": 5,
    });
  });

  test("entries that hit nothing are warned of", () => {
    const sink = new DiagnosticSink();
    resolve({ rank_pattern: { nope: 2, q_proj: 3 } }, { method: lora, sink });
    expect(sink.diagnostics.map((d) => d.message)).toEqual([
      "The following rank_pattern keys did not match any targeted module and were ignored: ['nope'].",
    ]);
  });

  test("the ranks of PEFT's own adapter", () => {
    const config = goldenJson("cases/llama-lora-pattern/adapter_config.json");
    const resolved = resolve(config, { method: lora, sink: new DiagnosticSink(true) });
    expect(new Set(resolved.sites.map((site) => site.fields.r)).size).toBeGreaterThan(1);
    expect(new Set(resolved.sites.map((site) => site.fields.lora_alpha)).size).toBeGreaterThan(1);
  });

  test("FourierFT's needs a dot before the name, or the whole name", () => {
    const modules = net("lin0", "a.lin1", "mylin1");
    const config = {
      target_modules: ["lin0", "lin1", "mylin1"],
      n_frequency: 9,
      n_frequency_pattern: { lin0: 5, lin1: 6 },
    };
    const fields = resolve(config, { method: fourierft, modules }).sites.map((site) => site.fields.n_frequency);
    expect(fields).toEqual([5, 6, 9]);
  });
});

describe("modules_to_save", () => {
  const modules = net("lin0", "mylin0", "lin1");
  test("names are tied to dots, and what PEFT would add is said", () => {
    const sink = new DiagnosticSink();
    const resolved = resolve({ target_modules: ["lin1"], modules_to_save: ["lin0"] }, { modules, sink });
    expect(resolved.modulesToSave).toEqual(["lin0"]);
    expect(resolved.trainedBase.flatMap((tensor) => tensor.keys)).toEqual([
      "base_model.model.lin0.weight",
      "base_model.model.lin0.bias",
    ]);
    expect(sink.diagnostics).toMatchObject([
      { code: "CONFIG-SAVE-PLAIN-END", message: expect.stringContaining("mylin0") },
    ]);
  });

  test("an entry that hits nothing is warned of", () => {
    const sink = new DiagnosticSink();
    resolve({ target_modules: ["lin1"], modules_to_save: ["nope"] }, { modules, sink });
    expect(sink.diagnostics.map((d) => d.code)).toEqual(["CONFIG-SAVE-UNUSED"]);
  });

  test("lists of modules cannot be saved, other containers can", () => {
    expect(messageOf({ modules_to_save: ["layers"] })).not.toBe("no error");
    expect(messageOf({ target_modules: ["lm_head"], modules_to_save: ["layers"] })).toBe(
      "modules_to_save cannot be applied to modules of type ModuleList",
    );
    const resolved = resolve({ modules_to_save: ["layers.1.mlp"] });
    expect(resolved.trainedBase.map((tensor) => tensor.weight)).toEqual([
      "model.layers.1.mlp.gate_proj.weight",
      "model.layers.1.mlp.up_proj.weight",
      "model.layers.1.mlp.down_proj.weight",
    ]);
  });

  test("task heads are added without changing the given list, once", () => {
    const given = ["score"];
    const config = { task_type: "SEQ_CLS", modules_to_save: given };
    const sink = new DiagnosticSink(true);
    const resolved = resolve(config, { modules: bert(), modelType: "bert", sink });
    expect(resolved.savedConfig.modules_to_save).toEqual(["score", "classifier"]);
    expect(given).toEqual(["score"]);
    expect(resolved.modulesToSave).toEqual(["classifier"]);
    const again = resolve(resolved.savedConfig, { modules: bert(), modelType: "bert" });
    expect(again.savedConfig.modules_to_save).toEqual(["score", "classifier"]);
  });
});

describe("trained tensors of the base are those of PEFT's files", () => {
  test.each([
    ["bert-cls-lora-bias-all", bert(), "bert"],
    ["gpt2-lora-bias-only", gpt2(), "gpt2"],
    ["llama-lora-modules-to-save", llama(), "llama"],
  ])("%s", (name, modules, modelType) => {
    const config = goldenJson(`cases/${name}/adapter_config.json`);
    const resolved = resolve(config, { method: handWritten.get(config.peft_type as string)!, modules, modelType });
    const inFile = [...goldenTensors(`cases/${name}/adapter_model.safetensors`).keys()].filter(
      (key) => !key.includes("lora_"),
    );
    const ours = resolved.trainedBase.flatMap((tensor) => [...tensor.keys, ...tensor.frozenKeys]);
    expect(ours.sort()).toEqual(inFile.sort());
  });
});
