/** The training program of a small llama with LoRA on q and v, from the model to the stages. */

import type { Builder } from "../../src/ir/builder.ts";
import { portName } from "../../src/ir/graph.ts";
import type { Fed } from "../../src/ir/run-inputs.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { buildModel } from "../../src/models/index.ts";
import type { Attachment } from "../../src/passes/attach.ts";
import { PassManager } from "../../src/passes/manager.ts";
import { updateGraph } from "../../src/passes/optimizer.ts";
import { lowerModelStage } from "../../src/passes/pipeline.ts";
import { splitPrepare } from "../../src/passes/prepare.ts";
import { layoutStorage } from "../../src/passes/storage.ts";
import type { ExecutableProgram } from "../../src/program/index.ts";
import { generator } from "../runtime/executor-samples.ts";

export interface LlamaSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly batch: number;
  readonly length: number;
  readonly rank: number;
}

/** W4 of the benchmarks. */
export const benchmarkSizes: LlamaSizes = {
  layers: 4,
  width: 128,
  heads: 4,
  hidden: 352,
  vocabulary: 512,
  batch: 2,
  length: 64,
  rank: 8,
};

type Site = Attachment["sites"] extends ReadonlyMap<string, infer S> ? S : never;

function loraSites(modules: readonly { path: string; in?: number; out?: number }[], rank: number): Map<string, Site> {
  const sites = new Map<string, Site>();
  for (const { path, in: width, out } of modules) {
    if (!/(q|v)_proj$/.test(path)) continue;
    sites.set(path, ((k: Builder, site: { weight: number; bias?: number }) => {
      const a = k.port(`${path}.lora_A`, "param", "f32", [rank, width!]);
      const b = k.port(`${path}.lora_B`, "param", "f32", [out!, rank]);
      const delta = k.add("op.scale", [k.add("op.compose", [k.dense(b), k.dense(a)]), k.constant(2)]);
      return { weight: k.add("op.add", [site.weight, delta]), bias: site.bias };
    }) as Site);
  }
  return sites;
}

export function trainingProgram(sizes: LlamaSizes): ExecutableProgram {
  const config = {
    model_type: "llama",
    hidden_size: sizes.width,
    num_hidden_layers: sizes.layers,
    num_attention_heads: sizes.heads,
    num_key_value_heads: sizes.heads,
    intermediate_size: sizes.hidden,
    vocab_size: sizes.vocabulary,
    rms_norm_eps: 1e-5,
    hidden_act: "silu",
    max_position_embeddings: 2048,
    tie_word_embeddings: false,
  };
  const options = {
    batch: sizes.batch,
    length: sizes.length,
    labels: true,
    mask: false,
    weightTypes: () => "f32" as const,
  };
  const built = buildModel(config, options);
  const manager = new PassManager({ verify: () => {}, now: () => 0 });
  const attachment: Attachment = { sites: loraSites(built.modules, sizes.rank), trained: new Map() };
  const graph = lowerModelStage(manager, "micro", built.graph, attachment, { gradients: true });
  const { main, prepare, derived } = splitPrepare(graph);
  const params = main.nodes
    .filter((node) => node.op === "port" && node.attributes.role === "param")
    .map((node) => ({ key: portName(node), size: sizeOf((node.type as TensorType).shape) }));
  const storage = layoutStorage(
    params,
    derived.map((d) => ({ key: d.name, size: sizeOf(d.shape) })),
    { train: true },
  );
  const size = storage.buffers.find((b) => b.name === "params")!.size;
  return {
    stages: [
      { name: "prepare", graph: prepare },
      { name: "micro", graph: main },
      { name: "update", graph: updateGraph(size) },
    ],
    storage,
  };
}

export interface TrainingData {
  readonly inputs: Record<string, Float32Array>;
  readonly data: Map<string, Float32Array>;
}

/** Reproducible weights, parameters (none of them zero) and one batch. */
export function trainingData(program: ExecutableProgram, sizes: LlamaSizes, seed = 3): TrainingData {
  const random = generator(seed);
  const data = new Map<string, Float32Array>();
  const numbers: Fed<"update"> = { lr: 1e-3, bias1: 0.1, bias2: 0.0316, weight_decay: 0.01, max_norm: 1 };
  const scalars = { label_scale: 0.01, ...numbers };
  const inputs: Record<string, Float32Array> = Object.fromEntries(
    Object.entries(scalars).map(([name, v]) => [name, Float32Array.of(v)]),
  );
  for (const node of program.stages.flatMap((s) => s.graph.nodes)) {
    if (node.op !== "port") continue;
    const name = portName(node);
    const { shape } = node.type as TensorType;
    if (inputs[name] !== undefined || data.has(name) || /^(derived\..*|params|grads|moment[12])$/.test(name)) continue;
    const fill = (f: () => number): Float32Array => Float32Array.from({ length: sizeOf(shape) }, f);
    const token = (): number => Math.floor(random() * sizes.vocabulary);
    if (name === "input_ids") inputs[name] = fill(token);
    else if (name === "labels") inputs[name] = fill(() => (random() < 0.3 ? -100 : token()));
    else if (name.includes("norm"))
      data.set(
        name,
        fill(() => 1 + 0.1 * random()),
      );
    else
      data.set(
        name,
        fill(() => ((random() - 0.5) * 2) / Math.sqrt(shape.at(-1)!)),
      );
  }
  return { inputs, data };
}
