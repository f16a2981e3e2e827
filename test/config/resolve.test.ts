import { describe, expect, test } from "vitest";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { type MethodConfig, peftTypeOf, type ResolvedAdapter, resolveAdapter } from "../../src/methods/config/index.ts";
import { elaborateModel, evaluation, methods, parseMethod } from "../../src/methods/index.ts";
import { withChosenHead } from "../../src/models/choose-head.ts";
import { describeModel } from "../../src/models/index.ts";
import { goldenBases, goldenCases, goldenJson } from "./golden.ts";
import { fourierft, ia3, lora, oft } from "./methods.ts";
import { gpt2, llama } from "./models.ts";

const llamaConfig = { model_type: "llama", architectures: ["LlamaForCausalLM"] };
const resolve = (method: MethodConfig, config: Record<string, unknown>, sink = new DiagnosticSink()) =>
  resolveAdapter({ peft_type: method.peftType, ...config }, method, llama(), llamaConfig, sink);

function errorOf(action: () => unknown): WebpeftError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(WebpeftError);
    return error as WebpeftError;
  }
  throw new Error("nothing was thrown");
}

/** Set-valued lists are compared as sets. */
const canonical = (config: Record<string, unknown>) => {
  const sets = ["target_modules", "exclude_modules", "feedforward_modules"];
  const entries = Object.entries(config).map(([key, value]) => [
    key,
    sets.includes(key) && Array.isArray(value) ? [...value].sort() : value,
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
};

describe("PEFT's configs, read and written, are equal as JSON, and nothing is warned of", () => {
  const cases = goldenCases().filter((name) =>
    methods.has(goldenJson(`cases/${name}/adapter_config.json`).peft_type as string),
  );
  const refused = ["llama-lora-tokens"];
  /** One of whose targets is no module: transformers has another name for it than the file. */
  const warned = ["gpt-neox-lora-head"];
  test("there are many", () => expect(cases.length).toBeGreaterThan(60));

  test.each(cases)("%s", (name) => {
    const config = goldenJson(`cases/${name}/adapter_config.json`);
    const sink = new DiagnosticSink(!warned.includes(name));
    const base = goldenBases().findLast((key) => name.startsWith(`${key}-`))!;
    const given = goldenJson(`bases/${base}/config.json`);
    const known = { taskType: config.task_type, held: () => 3 };
    const modelConfig = withChosenHead(given, {}, known) ?? given;
    const { modules } = describeModel(modelConfig);
    const method = methods.get(config.peft_type as string)!;
    const resolved = resolveAdapter(config, method, modules, modelConfig, sink);
    expect(canonical(resolved.savedConfig)).toEqual(canonical(config));
    // A method that mixes adapters has their sites.
    if (method.expertsFrom === undefined) expect(resolved.sites.length).toBeGreaterThan(0);
    const again = resolveAdapter(resolved.savedConfig, method, modules, modelConfig, sink);
    expect(again.savedConfig).toEqual(resolved.savedConfig);
  });

  test.each(refused)("%s asks for what is not built", (name) => {
    const config = goldenJson(`cases/${name}/adapter_config.json`);
    const error = errorOf(() => resolveAdapter(config, lora, llama(), llamaConfig, new DiagnosticSink()));
    expect([error.code, error.where]).toEqual(["METHOD-UNSUPPORTED", "trainable_token_indices"]);
  });
});

describe("defaults", () => {
  test("PEFT's with peft_version, the seed's without", () => {
    expect(resolve(fourierft, {}).fields.scaling).toBe(300);
    expect(resolve(fourierft, { peft_version: "0.21.2" }).fields.scaling).toBe(150);
    expect(resolve(fourierft, { peft_version: null, scaling: 7 }).fields.scaling).toBe(7);
  });

  test("a method settles fields that depend on each other, and they are saved so", () => {
    expect(resolve(oft, {}).savedConfig).toMatchObject({ r: 8, oft_block_size: 0 });
    expect(resolve(oft, { oft_block_size: 16 }).savedConfig).toMatchObject({ r: 0, oft_block_size: 16 });
    expect(resolve(oft, { peft_version: "0.21.2" }).savedConfig).toMatchObject({ r: 0, oft_block_size: 32 });
  });

  test("a fresh config is completed", () => {
    const saved = resolve(lora, {}).savedConfig;
    expect(saved).toMatchObject({
      peft_type: "LORA",
      peft_version: "0.21.2",
      inference_mode: true,
      target_modules: ["q_proj", "v_proj"],
      megatron_core: "megatron.core",
      auto_mapping: {
        base_model_class: "LlamaForCausalLM",
        parent_library: "transformers.models.llama.modeling_llama",
      },
    });
    const golden = goldenJson("cases/llama-lora/adapter_config.json");
    expect(Object.keys(saved).sort()).toEqual(Object.keys(golden).sort());
    expect(resolve(lora, { task_type: "CAUSAL_LM" }).savedConfig.auto_mapping).toBeNull();
  });

  test("the base's name is filled in where there is none", () => {
    const named = { ...llamaConfig, _name_or_path: "some/base" };
    const nameOf = (config: object) =>
      resolveAdapter({ peft_type: "LORA", ...config }, lora, llama(), named, new DiagnosticSink()).savedConfig
        .base_model_name_or_path;
    expect(nameOf({})).toBe("some/base");
    expect(nameOf({ base_model_name_or_path: "" })).toBe("some/base");
    expect(nameOf({ base_model_name_or_path: "mine" })).toBe("mine");
  });

  test("fields that Python writes as floats are named", () => {
    const { floatFields } = resolve(lora, {});
    expect(floatFields.has("lora_dropout")).toBe(true);
    expect(floatFields.has("lora_alpha")).toBe(false);
  });
});

describe("unknown fields and types", () => {
  test("are warned of, kept, and refused under strict", () => {
    const sink = new DiagnosticSink();
    const resolved = resolve(lora, { foo: [1], bar: null, runtime_config: {} }, sink);
    expect(sink.diagnostics.map((d) => d.message)).toContain(
      "Unexpected keyword arguments ['foo', 'bar'] for class LoraConfig, these are ignored.",
    );
    expect(resolved.savedConfig).toMatchObject({ foo: [1], bar: null });
    expect(resolved.savedConfig).not.toHaveProperty("runtime_config");
    expect(errorOf(() => resolve(lora, { foo: 1 }, new DiagnosticSink(true))).code).toBe("CONFIG-FIELD-UNKNOWN");
  });

  test("a config for another method, and one without a type", () => {
    expect(errorOf(() => resolve(lora, { peft_type: "OFT" }))).toMatchObject({
      code: "CONFIG-TYPE-MISMATCH",
      expected: "LORA",
      got: '"OFT"',
    });
    const scale = parseMethod("method scale on linear { W' = W; }");
    const saved = resolveAdapter(
      { target_modules: ["q_proj"] },
      scale,
      llama(),
      llamaConfig,
      new DiagnosticSink(),
    ).savedConfig;
    expect(saved).toMatchObject({ peft_type: "SCALE", bias: "none", init_weights: true });
  });

  test("types", () => {
    const known = ["LORA", "OFT"];
    expect(peftTypeOf({ peft_type: "OFT" }, known)).toBe("OFT");
    expect(errorOf(() => peftTypeOf({ peft_type: "FOO" }, known))).toMatchObject({
      code: "CONFIG-TYPE-UNKNOWN",
      expected: "LORA, OFT",
      got: '"FOO"',
    });
    expect(errorOf(() => peftTypeOf({ peft_type: "BONE" }, known)).code).toBe("METHOD-UNSUPPORTED");
    expect(errorOf(() => peftTypeOf({ r: 3 }, known)).message).toContain("missing required keys: {'peft_type'}");
    expect(errorOf(() => peftTypeOf({ peft_type: ["LORA"] }, known)).code).toBe("CONFIG-TYPE-UNKNOWN");
  });
});

describe("fan_in_fan_out is what the base stores", () => {
  const onGpt2 = (method: MethodConfig, config: object, sink: DiagnosticSink) =>
    resolveAdapter({ peft_type: method.peftType, ...config }, method, gpt2(), { model_type: "gpt2" }, sink);
  test("corrected with a warning where it was given, with a note where not", () => {
    const sink = new DiagnosticSink();
    expect(onGpt2(lora, { fan_in_fan_out: false }, sink).savedConfig.fan_in_fan_out).toBe(true);
    expect(sink.diagnostics).toMatchObject([{ code: "CONFIG-FAN-IN-FAN-OUT", severity: "warning" }]);
    const quiet = new DiagnosticSink(true);
    expect(onGpt2(lora, {}, quiet).savedConfig.fan_in_fan_out).toBe(true);
    expect(quiet.diagnostics).toMatchObject([{ severity: "note" }]);
    expect(resolve(lora, { fan_in_fan_out: true }).savedConfig.fan_in_fan_out).toBe(false);
  });

  test("methods that PEFT limits to Linear say so on Conv1D", () => {
    const sink = new DiagnosticSink();
    expect(onGpt2(oft, {}, sink).sites).toHaveLength(2);
    expect(sink.diagnostics.map((d) => d.code)).toContain("CONFIG-CONV1D");
  });
});

describe("IA3", () => {
  /** Of every site, whether its input is scaled, by the shape of its vector. */
  function feedforward({ sites, fields }: ResolvedAdapter): boolean[] {
    const ia3OfPeft = methods.get("IA3")!;
    const { tensors } = elaborateModel(ia3OfPeft, { sites, situation: evaluation, fields, sink: new DiagnosticSink() });
    return tensors.map(({ shape }) => shape[0] === 1);
  }

  test("defaults by model type, feedforward by the plain end of the path", () => {
    const resolved = resolve(ia3, {});
    expect(resolved.savedConfig.feedforward_modules).toEqual(["down_proj"]);
    const names = resolved.sites.map(({ path }) => path.split(".").at(-1));
    const flags = feedforward(resolved).map((flag, i) => [names[i], flag]);
    expect(flags.slice(0, 3)).toEqual([
      ["k_proj", false],
      ["v_proj", false],
      ["down_proj", true],
    ]);
    const plain = resolve(ia3, {
      target_modules: ["v_proj", "wn_proj", "down_proj"],
      feedforward_modules: ["wn_proj"],
    });
    expect(feedforward(plain)).toEqual([false, true, false, true]);
    const regex = resolve(ia3, { target_modules: ["v_proj"], feedforward_modules: ".*\\.1\\..*" });
    expect(feedforward(regex)).toEqual([false, true]);
    expect(feedforward(resolve(ia3, { feedforward_modules: [] }))).not.toContain(true);
  });

  test("its errors", () => {
    const subset = errorOf(() => resolve(ia3, { target_modules: ["q_proj"], feedforward_modules: ["up_proj"] }));
    expect(subset.message).toBe("`feedforward_modules` should be a subset of `target_modules`");
    const none = errorOf(() =>
      resolveAdapter(
        { peft_type: "IA3", target_modules: ["q_proj"] },
        ia3,
        llama(),
        { model_type: "new" },
        new DiagnosticSink(),
      ),
    );
    expect(none.message).toBe("Please specify `feedforward_modules` in `peft_config`");
  });
});
