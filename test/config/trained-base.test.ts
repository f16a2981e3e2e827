import { describe, expect, test } from "vitest";
import { DiagnosticSink } from "../../src/ir/diagnostics.ts";
import { goldenJson, goldenTensors } from "./golden.ts";
import { handWritten } from "./methods.ts";
import { bert, gpt2, llama, net } from "./models.ts";
import { messageOf, resolve } from "./resolving.ts";

describe("modules_to_save", () => {
  const modules = net("lin0", "mylin0", "lin1");
  test("names are ends of paths, with a note where they begin within a word", () => {
    const sink = new DiagnosticSink(true);
    const resolved = resolve({ target_modules: ["lin1"], modules_to_save: ["lin0"] }, { modules, sink });
    expect(resolved.modulesToSave).toEqual(["lin0", "mylin0"]);
    expect(resolved.trainedBase.flatMap((tensor) => tensor.keys)).toEqual(
      ["lin0", "mylin0"].flatMap((path) => [`base_model.model.${path}.weight`, `base_model.model.${path}.bias`]),
    );
    expect(sink.diagnostics).toMatchObject([
      { code: "CONFIG-SAVE-PLAIN-END", severity: "note", message: expect.stringContaining("mylin0") },
    ]);
  });

  test("a file without tensors of what a word ends did not train it", () => {
    const config = { target_modules: ["lin1"], modules_to_save: ["lin0"] };
    const held = (path: string) => [`base_model.model.${path}.weight`, `base_model.model.${path}.bias`];
    expect(resolve(config, { modules, held: held("lin0") }).modulesToSave).toEqual(["lin0"]);
    expect(resolve(config, { modules, held: held("mylin0") }).modulesToSave).toEqual(["lin0", "mylin0"]);
  });

  test("an adapted module is none to save", () => {
    expect(messageOf({ target_modules: ["mylin0"], modules_to_save: ["n0"] }, { modules })).toMatch(/that are adapted/);
  });

  test("an entry that hits nothing is warned of", () => {
    const sink = new DiagnosticSink();
    resolve({ target_modules: ["lin1"], modules_to_save: ["nope"] }, { modules, sink });
    expect(sink.diagnostics.map((d) => d.code)).toEqual(["CONFIG-SAVE-UNUSED"]);
  });

  test("a head of another name than those that PEFT trains by themselves is told of", () => {
    const codes = (task_type: string, more = {}) => {
      const sink = new DiagnosticSink(true);
      resolve({ target_modules: ["lin1"], task_type, ...more }, { modules, sink });
      return sink.diagnostics.map((d) => d.code);
    };
    expect(codes("SEQ_CLS")).toEqual(["CONFIG-SAVE-HEAD"]);
    expect(codes("SEQ_CLS", { modules_to_save: ["mylin0"] })).toEqual([]);
    expect(codes("CAUSAL_LM")).toEqual([]);
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
