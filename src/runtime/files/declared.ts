/** The tensors that a config asks for, where there are no tensor files: all that compiling needs of them. */
import { ports } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/types.ts";
import { buildModel } from "../../models/index.ts";
import { notFound } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { TensorDtype } from "./tensor.ts";
import { type WeightEntry, type Weights, weightsOf } from "./weights.ts";

/** By the names that PyTorch's dtypes have in configs. */
const dtypes: Readonly<Record<string, TensorDtype>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

/** Dtype, F32 unless the config says another, and shapes of all tensors of a model. Throws what building the model does. */
export function declaredWeights(name: string, config: JsonObject): Weights {
  const given = String(config.dtype ?? config.torch_dtype ?? "float32").replace(/^torch\./, "");
  const dtype = dtypes[given] ?? "F32";
  const { graph } = buildModel(config, { batch: 1, length: 1, labels: true, mask: false, weightTypes: () => "f32" });
  const entries = ports(graph, "weight").map(({ name: key, node }): [string, WeightEntry] => {
    const { shape } = node.type as TensorType;
    return [
      key,
      {
        dtype,
        shape,
        read: async () => Promise.reject(notFound(`${name}: ${key}`, "The folder has no tensor files.")),
      },
    ];
  });
  return weightsOf(name, new Map(entries));
}
