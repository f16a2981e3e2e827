/** Small base models with seeded weights, in memory and in folders, and adapters of theirs with tensors of their own choice. */
import { compile, loadModel, type Model, readAdapter, type Session } from "../src/index.ts";
import { ports } from "../src/ir/graph.ts";
import type { TensorType } from "../src/ir/types.ts";
import { buildModel } from "../src/models/index.ts";
import { encodeSafetensors } from "../src/runtime/files/safetensors.ts";
import { fromFloat32, type HostTensor, type TensorDtype, toFloat32 } from "../src/runtime/files/tensor.ts";
import { randomWeights } from "./models/helpers.ts";
import { options, small } from "./models/small.ts";

export const smallLlama = { model_type: "llama", ...small, tie_word_embeddings: false };
export const tiedLlama = { ...smallLlama, tie_word_embeddings: true };
export const smallGpt2 = {
  model_type: "gpt2",
  vocab_size: 19,
  n_embd: 12,
  n_layer: 2,
  n_head: 2,
  n_positions: 16,
  n_inner: 10,
};

/** Tensors by key. */
export type Tensors = Record<string, HostTensor>;

/** The weights of a model, all random. */
export function smallWeights(config: object, seed = 1, dtype: TensorDtype = "F32"): Tensors {
  const { graph } = buildModel(config as Record<string, unknown>, options());
  const numbers = randomWeights(graph, seed);
  return Object.fromEntries(
    ports(graph, "weight").map(({ name, node }) => {
      const { shape } = node.type as TensorType;
      return [name, fromFloat32(Float32Array.from(numbers[name]!), dtype, shape)];
    }),
  );
}

/** A tensor of the same shape with other numbers. */
export const moved = ({ dtype, shape, bytes }: HostTensor, by = 0.1): HostTensor =>
  fromFloat32(
    toFloat32({ dtype, shape, bytes }).map((x, i) => x + by * Math.sin(i + 1)),
    dtype,
    shape,
  );

const size = { batch: 1, length: 7 };
const ids = Int32Array.from({ length: 7 }, (_unused, i) => (i * 5 + 3) % 19);
export const batch = { input_ids: ids, labels: ids };

/** A session of a model with an adapter that is fresh (a config), read (files), or none. */
export async function begin(model: Model, adapter: object | null, more: object = {}): Promise<Session> {
  const isFiles = adapter !== null && "adapter_config.json" in adapter;
  const read = isFiles ? await readAdapter(adapter as Record<string, Uint8Array>) : undefined;
  const program = await compile(model, read ?? adapter, { ...size, ...more });
  return program.start({ device: "cpu", seed: 3, ...(read === undefined ? {} : { adapter: read }) });
}

/** The loss on the batch; the session is disposed. */
export async function lossOf(model: Model, adapter: object | null, more: object = { mode: "infer" }): Promise<number> {
  const session = await begin(model, adapter, more);
  const { loss } = await session.forward(batch);
  session.dispose();
  return loss!;
}

export const memory = (config: object, weights: Tensors): Promise<Model> =>
  loadModel({ config: config as never, weights });

/** A model as it would be read again after it was written. */
export async function reloaded({ config, weights }: Model): Promise<Model> {
  const tensors = weights.keys().map(async (key) => [key, await weights.read(key)] as const);
  return memory(config, Object.fromEntries(await Promise.all(tensors)));
}

/** The files of an adapter, with further tensors. */
export async function withTensors(
  files: Record<string, Uint8Array>,
  more: Tensors,
): Promise<Record<string, Uint8Array>> {
  const { tensors } = await readAdapter(files);
  const own = [...tensors.tensors.keys()].map(async (key) => [key, await tensors.read(key)] as const);
  const all = new Map([...(await Promise.all(own)), ...Object.entries(more)]);
  return { ...files, "adapter_model.safetensors": encodeSafetensors(all) };
}
