import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { type MethodConfig, resolveAdapter } from "../../src/methods/config/index.ts";
import { methods } from "../../src/methods/index.ts";
import { fourierft, handWritten, lora, oft, vera } from "./methods.ts";
import { llama } from "./models.ts";

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

describe("components that AdaLoRA kept", () => {
  const adalora = methods.get("ADALORA")!;
  test.each([
    [{ q_proj: 3 }, '{"q_proj":3}'],
    [{ q_proj: [1, 0] }, '{"q_proj":[1,0]}'],
    [[true], "[true]"],
  ])("are no %j", (rank_pattern, got) => {
    const config = { total_step: 10, rank_pattern };
    expect(errorOf(() => resolveAdapter(config, adalora, llama(), llamaConfig, new DiagnosticSink()))).toMatchObject({
      code: "CONFIG-FIELD-TYPE",
      where: "rank_pattern",
      expected: "an object with lists of true and false, or null",
      got,
    });
  });
});

describe("refused values", () => {
  test.each([
    [{ r: "8" }, "CONFIG-FIELD-TYPE", "r", "a whole number >= 1", '"8"'],
    [{ r: 1.5 }, "CONFIG-FIELD-TYPE", "r", "a whole number >= 1", "1.5"],
    [{ r: null }, "CONFIG-FIELD-TYPE", "r", "a whole number >= 1", "null"],
    [{ r: 0 }, "CONFIG-FIELD-RANGE", "r", "a whole number >= 1", "0"],
    [{ lora_dropout: 1.5 }, "CONFIG-FIELD-RANGE", "lora_dropout", "a number >= 0 and <= 1", "1.5"],
    [{ use_dora: 1 }, "CONFIG-FIELD-TYPE", "use_dora", "true or false", "1"],
    [
      { init_lora_weights: "pissa" },
      "CONFIG-FIELD-VALUE",
      "init_lora_weights",
      'one of true, false, "gaussian"',
      '"pissa"',
    ],
    [{ rank_pattern: { q_proj: 0 } }, "CONFIG-FIELD-RANGE", 'rank_pattern["q_proj"]', "a whole number >= 1", "0"],
    [{ rank_pattern: [1] }, "CONFIG-FIELD-TYPE", "rank_pattern", "an object with whole numbers", "[1]"],
    [{ modules_to_save: "lm_head" }, "CONFIG-FIELD-TYPE", "modules_to_save", "a list of texts, or null", '"lm_head"'],
  ])("%j", (config, code, where, expected, got) => {
    const error = errorOf(() => resolve(lora, config));
    expect(error).toMatchObject({ code, where, expected, got });
  });

  test.each([
    [{ target_modules: 3 }, "target_modules"],
    [{ target_modules: ["q", 3] }, "target_modules"],
    [{ exclude_modules: {} }, "exclude_modules"],
    [{ layers_to_transform: "1" }, "layers_to_transform"],
    [{ layers_to_transform: [1, -1] }, "layers_to_transform"],
    [{ layers_pattern: 1 }, "layers_pattern"],
  ])("%j", (config, where) => {
    expect(errorOf(() => resolve(lora, config))).toMatchObject({ code: "CONFIG-FIELD-TYPE", where });
  });

  test.each([null, [], "LORA", 3, undefined, { peft_type: "LORA", r: Number.NaN }, { peft_type: "LORA", x: () => 1 }])(
    "%s is no config",
    (config) => {
      const error = errorOf(() => resolveAdapter(config, lora, llama(), llamaConfig, new DiagnosticSink()));
      expect(error.code).toBe("CONFIG-NOT-OBJECT");
    },
  );

  test("null in a nullable field", () =>
    expect(resolve(fourierft, { random_loc_seed: null }).fields.random_loc_seed).toBeNull());

  test("a task type", () => {
    const error = errorOf(() => resolve(lora, { task_type: "FOO" }));
    expect(error.message).toBe(
      "Invalid task type: 'FOO'. Must be one of the following task types: SEQ_CLS, SEQ_2_SEQ_LM, CAUSAL_LM, TOKEN_CLS, " +
        "QUESTION_ANS, FEATURE_EXTRACTION.",
    );
  });

  test("a bias", () => {
    expect(errorOf(() => resolve(lora, { bias: "foo" })).message).toBe("Requested bias: foo, is not implemented.");
    expect(resolve(lora, { bias: "foo_only" }).bias).toBe("targets");
  });

  test("variants that are not built", () => {
    expect(errorOf(() => resolve(lora, { target_parameters: ["mlp.up"] })).where).toBe("target_parameters");
    expect(errorOf(() => resolve(lora, { use_qalora: true })).code).toBe("METHOD-UNSUPPORTED");
    expect(resolve(lora, { qalora_group_size: 32 }).savedConfig.qalora_group_size).toBe(32);
  });
});

describe("the three recurring checks", () => {
  const a = "When `layers_pattern` is specified, `layers_to_transform` must also be specified. ";
  const b = "`layers_to_transform` cannot be used when `target_modules` is a str.";
  const c = "`layers_pattern` cannot be used when `target_modules` is a str.";
  test.each([
    [lora, { layers_pattern: "layers" }, a],
    [vera, { layers_pattern: ["layers"] }, a],
    [lora, { target_modules: ".*q_proj", layers_to_transform: [1] }, b],
    [lora, { target_modules: ".*q_proj", layers_to_transform: [], layers_pattern: [] }, b],
    [fourierft, { target_modules: ".*q_proj", layers_pattern: [] }, c],
  ])("%#", (method, config, message) => expect(errorOf(() => resolve(method, config)).message).toBe(message));

  test("do not hold for methods without them", () => {
    expect(resolve(oft, { target_modules: ".*q_proj", layers_to_transform: [1] }).sites).toHaveLength(2);
    expect(resolve(lora, { layers_pattern: "", layers_to_transform: 1 }).sites).toHaveLength(2);
  });
});

describe("whatever a config holds, only coded errors come out", () => {
  const strings = fc.oneof(
    fc.constantFrom("q_proj", "lm_head", ".*q_proj", "all-linear", "(", "layers", "", "__proto__"),
    fc.string(),
  );
  const value = fc.oneof(
    strings,
    fc.array(strings, { maxLength: 4 }),
    fc.jsonValue({ maxDepth: 2 }),
    fc.integer(),
    fc.double(),
  );
  const fieldNames = [
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
    "bias",
  ];
  const more = [
    "fan_in_fan_out",
    "task_type",
    "rank_pattern",
    "r",
    "peft_version",
    "feedforward_modules",
    "n_frequency_pattern",
  ];
  const name = fc.oneof(fc.constantFrom(...fieldNames, ...more), fc.string());
  const config = fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: false });

  test.each([...handWritten.keys()])("%s", (peftType) => {
    fc.assert(
      fc.property(config, fc.boolean(), (random, strict) => {
        const method = handWritten.get(peftType)!;
        try {
          resolveAdapter({ ...random, peft_type: peftType }, method, llama(), llamaConfig, new DiagnosticSink(strict));
        } catch (error) {
          expect(error).toBeInstanceOf(WebpeftError);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("any JSON", () => {
    fc.assert(
      fc.property(fc.anything(), (random) => {
        try {
          resolveAdapter(random, lora, llama(), llamaConfig, new DiagnosticSink());
        } catch (error) {
          expect(error).toBeInstanceOf(WebpeftError);
        }
      }),
    );
  });
});
