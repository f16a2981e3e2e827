/** LoRA on parameters: which are hit, by which names, and how PEFT's file spells them. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile, loadModel } from "../../src/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { golden } from "../golden/helpers.ts";

const lora = { peft_type: "LORA", task_type: "CAUSAL_LM", r: 2, lora_alpha: 3 };

async function adapted(base: string, config: object) {
  const program = await compile(
    await loadModel(golden(`bases/${base}`)),
    { ...lora, ...config },
    { batch: 1, length: 4 },
  );
  return program.adapter!;
}

const shapes = async (base: string, config: object): Promise<Record<string, readonly number[]>> => {
  const { tensors } = await adapted(base, config);
  const first = tensors.filter(({ key }) => key.includes(".layers.0."));
  return Object.fromEntries(first.map(({ key, shape }) => [key.replace(/^.*layers\.0\./, ""), shape]));
};

async function failure(base: string, config: object): Promise<WebpeftError> {
  try {
    await adapted(base, config);
  } catch (error) {
    if (error instanceof WebpeftError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("target_parameters", () => {
  it("are keyed as PEFT wraps them: the last of a module's is the outermost", async () => {
    const parameters = ["mlp.experts.gate_up_proj", "experts.down_proj", "gate.weight"];
    expect(await shapes("mixtral", { target_modules: [], target_parameters: parameters })).toEqual({
      "mlp.gate.lora_A.weight": [2, 32],
      "mlp.gate.lora_B.weight": [4, 2],
      "mlp.experts.base_layer.lora_A.weight": [8, 32],
      "mlp.experts.base_layer.lora_B.weight": [40, 8],
      "mlp.experts.lora_A.weight": [8, 20],
      "mlp.experts.lora_B.weight": [32, 8],
    });
    const one = await shapes("mixtral", { target_parameters: ["gate_up_proj"] });
    expect(Object.keys(one)).toEqual(["mlp.experts.lora_A.weight", "mlp.experts.lora_B.weight"]);
  });

  it("have ranks of their own by patterns", async () => {
    const config = { target_parameters: ["experts.down_proj"], rank_pattern: { "experts.down_proj": 5 } };
    expect(await shapes("mixtral", config)).toEqual({
      "mlp.experts.lora_A.weight": [20, 20],
      "mlp.experts.lora_B.weight": [32, 20],
    });
  });

  it.each([
    [{ lora_dropout: 0.1 }, "METHOD-CONSTRAINT"],
    [{ use_dora: true }, "METHOD-CONSTRAINT"],
    [{ lora_bias: true }, "METHOD-CONSTRAINT"],
    [{ target_parameters: ["self_attn.q_proj.weight"] }, "CONFIG-FIELD-SITES"],
    [{ target_parameters: "down_proj" }, "CONFIG-FIELD-TYPE"],
    [{ target_parameters: ["experts.nothing"] }, "CONFIG-TARGETS-EMPTY"],
  ])("are refused with %o", async (change, code) => {
    const config = { target_modules: [], target_parameters: ["experts.down_proj"], ...change };
    expect((await failure("mixtral", config)).code).toBe(code);
  });
});

describe("names that the layers of experts had", () => {
  const old = { mixtral: ["w1", "w2", "w3"], "qwen3-moe": ["gate_proj", "up_proj", "down_proj"] };

  it.each(Object.entries(old))(
    "stand for their parameters, of twice the rank where two are one tensor: %s",
    async (base, names) => {
      const { savedConfig } = await adapted(base, { target_modules: [...names, "q_proj"] });
      expect(savedConfig).toMatchObject({
        target_modules: ["q_proj"],
        target_parameters: ["gate_up_proj", "down_proj"],
        rank_pattern: { ".*\\.gate_up_proj": 4 },
        alpha_pattern: { ".*\\.gate_up_proj": 6 },
      });
      expect(await shapes(base, { target_modules: names })).toEqual({
        "mlp.experts.base_layer.lora_A.weight": [16, 32],
        "mlp.experts.base_layer.lora_B.weight": [40, 16],
        "mlp.experts.lora_A.weight": [8, 20],
        "mlp.experts.lora_B.weight": [32, 8],
      });
    },
  );

  it("all-linear has them too, as PEFT's file says", async () => {
    const file = readFileSync(golden("cases/mixtral-lora-all-linear/adapter_config.json"), "utf8");
    const saved = JSON.parse(file) as Record<string, readonly string[]>;
    const { savedConfig } = await adapted("mixtral", { target_modules: "all-linear" });
    for (const field of ["target_modules", "target_parameters"])
      expect(new Set(savedConfig[field] as readonly string[])).toEqual(new Set(saved[field]));
  });

  it("one of two that are one tensor is not enough", async () => {
    const error = await failure("mixtral", { target_modules: ["w1"] });
    expect(error.message).toContain(
      "Cannot convert PEFT target(s) w1 without also targeting w3 because they are fused into gate_up_proj.",
    );
  });

  it("a regular expression hits names, whatever the layer, as in PEFT", async () => {
    const { savedConfig, sites } = await adapted("mixtral", { target_modules: ".*layers\\.0.*q_proj" });
    expect(savedConfig.target_modules).toEqual(["q_proj"]);
    expect(sites).toHaveLength(2);
  });
});
