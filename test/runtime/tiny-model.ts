/** A llama in memory that is as small as one can be: a session of it starts and steps within milliseconds. */
import { describeModel } from "../../src/models/index.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { fromFloat32, type TensorDtype } from "../../src/runtime/files/tensor.ts";
import { randomNumbers } from "../models/helpers.ts";

const facts = {
  model_type: "llama",
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

/** `more` are fields of its config; numbers depend on the place only. */
export async function tinyModel(
  more: Readonly<Record<string, unknown>> = {},
  dtype: TensorDtype = "F32",
): Promise<Model> {
  const config = { ...facts, ...more };
  const weights: Record<string, ReturnType<typeof fromFloat32>> = {};
  for (const [i, { kind, weight, bias, in: width, out }] of describeModel(config).modules.entries()) {
    const put = (key: string | undefined, shape: readonly number[], middle: number): void => {
      if (key === undefined || key in weights) return;
      const count = shape.reduce((product, n) => product * n, 1);
      const numbers = randomNumbers(count, i + 1, 1 / Math.sqrt(shape.at(-1)!)).map((x) => middle + x);
      weights[key] = fromFloat32(Float32Array.from(numbers), dtype, shape);
    };
    if (kind === "norm") put(weight, [out!], 1);
    else put(weight, kind === "embedding" ? [width!, out!] : [out!, width!], 0);
    put(bias, [out!], 0);
  }
  return loadModel({ config, weights });
}
