/** webpeft as one of the peers: the workloads through its own compiler, with its own fragments; no kernel is written for them. */
import { oneAdapter } from "../src/adapters/one.ts";
import { cpuTarget, generate, type Target, targetOf, wasmTarget } from "../src/codegen/index.ts";
import { compile } from "../src/compile/index.ts";
import { Builder } from "../src/ir/builder.ts";
import { DiagnosticSink } from "../src/ir/diagnostics.ts";
import type { Graph } from "../src/ir/graph.ts";
import { sizeOf } from "../src/ir/types.ts";
import { unknownBase } from "../src/methods/index.ts";
import { registry } from "../src/methods/registry.ts";
import type { ModuleInfo } from "../src/models/model.ts";
import { PassManager } from "../src/passes/manager.ts";
import { lowerModelStage } from "../src/passes/pipeline.ts";
import { splitPrepare } from "../src/passes/prepare.ts";
import { layoutStorage } from "../src/passes/storage.ts";
import type { ProgramStorage } from "../src/program/index.ts";
import { openAdapter } from "../src/runtime/device/device.ts";
import { type OpenDevice, openDevice } from "../src/runtime/device/index.ts";
import { searchIn } from "../src/runtime/device/search.ts";
import type { Executor } from "../src/runtime/executors/executor.ts";
import { tfjsExecutor } from "../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../src/runtime/executors/webgpu/executor.ts";
import { loadModel } from "../src/runtime/files/model.ts";

export { compile, loadModel };

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
type Tensors = Readonly<Record<string, Tensor>>;
type Numbers = Readonly<Record<string, number>>;

export interface Workload {
  step(): void;
  sync(): Promise<void>;
  outputs(): Promise<Record<string, Float32Array>>;
  readonly facts: {
    readonly dispatches: number;
    readonly bytesBound: number;
    readonly peakMB: number;
    readonly pipelines: number;
  };
}

/** What runs the workloads. */
export interface Engine {
  readonly executor: Executor;
  readonly target: Target;
  readonly description: string;
  /** Waits for all that was given to a device. */
  finished(): Promise<unknown>;
}

/** `engine`: `webgpu` unless given, `wasm` (on `threads`, if given) or `tfjs`; `driver`: `swiftshader` for the bundled one. */
export async function load(options: {
  readonly driver?: string;
  readonly engine?: string;
  readonly threads?: number;
}): Promise<Engine> {
  const { driver, engine, threads } = options;
  if (engine === "wasm") return onProcessor(wasmExecutor(threads === undefined ? {} : { threads }), wasmTarget);
  if (engine === "tfjs") return onProcessor(await tfjsExecutor({ backend: "wasm" }), cpuTarget);
  return engineOf(driver === "swiftshader" ? await bundledDriver() : await openDevice({ prefer: "webgpu" }));
}

export function engineOf(open: OpenDevice): Engine {
  const target = targetOf(open.target);
  return {
    executor: webgpuExecutor(open, { target }),
    target,
    description: open.adapter.description,
    finished: () => open.wait(open.device.queue.onSubmittedWorkDone()),
  };
}

const onProcessor = (executor: Executor, target: Target): Engine => ({
  executor,
  target,
  description: executor.description,
  finished: () => Promise.resolve(),
});

async function bundledDriver(): Promise<OpenDevice> {
  const { found } = (await searchIn("swiftshader", undefined)) as { found: Parameters<typeof openAdapter>[0] };
  return openAdapter(found);
}

interface Layer {
  readonly config: Readonly<Record<string, unknown>>;
  readonly modules: readonly ModuleInfo[];
  /** Output y of the layer for x f32[N, d]. */
  readonly build: (builder: Builder, x: number, weight: (path: string) => number) => number;
  readonly x: Tensor;
  readonly dy: Tensor;
  readonly weights: Tensors;
  /** Adapter tensors by the end of their key. */
  readonly params: Readonly<Record<string, Float32Array>>;
  readonly results: (
    grads: (end: string) => Float32Array,
    y: Float32Array,
    dx: Float32Array,
  ) => Record<string, Float32Array>;
}

const linear = (path: string, out: number, width: number): ModuleInfo => ({
  path,
  kind: "linear",
  weight: `${path}.weight`,
  in: width,
  out,
  layout: "linear",
});

/** loss = sum(y dy): its gradients are those of the layer against dy; x counts as a parameter so that dx is one of them. */
function baseGraph(layer: Layer): Graph {
  const builder = new Builder("layer");
  const x = builder.port("x", "param", "f32", layer.x.shape);
  const dy = builder.port("dy", "input", "f32", layer.dy.shape);
  const weight = (path: string): number => builder.port(`${path}.weight`, "weight", "f32", layer.weights[path]!.shape);
  const y = layer.build(builder, x, weight);
  const loss = builder.sum(builder.mul(y, dy), [0, 1]);
  return builder.finish([
    { name: "loss", node: loss },
    { name: "y", node: y },
  ]);
}

function withResults(storage: ProgramStorage, size: number): ProgramStorage {
  const buffers = [...storage.buffers, { name: "results", size }];
  return { buffers, bindings: { ...storage.bindings, y: { buffer: "results", offset: 0, size } } };
}

async function layerWorkload(engine: Engine, layer: Layer): Promise<Workload> {
  const sink = new DiagnosticSink();
  const adapter = oneAdapter({
    config: layer.config,
    modules: layer.modules,
    methods: registry(),
    modelConfig: {},
    origin: { loaded: true },
    base: unknownBase,
    weightType: () => "f32",
    weightShape: () => [],
    sink,
  });
  const situation = { purpose: "train", sampling: false } as const;
  const manager = new PassManager({ verify: () => undefined, now: () => 0 });
  const lowered = lowerModelStage(manager, "micro", baseGraph(layer), adapter.attach(situation), {
    gradients: true,
  });
  const graph = { ...lowered, outputs: lowered.outputs.filter((output) => output.name !== "loss") };
  const { prepare, main, derived } = splitPrepare(graph);
  const planned = adapter.plan([situation]);
  const keys = planned.tensors.filter((tensor) => tensor.role === "param");
  const params = [
    { key: "x", size: sizeOf(layer.x.shape) },
    ...keys.map(({ key, shape }) => ({ key, size: sizeOf(shape) })),
  ];
  const storage = withResults(
    layoutStorage(
      params,
      derived.map(({ name, shape }) => ({ key: name, size: sizeOf(shape) })),
      { train: true },
    ),
    sizeOf(layer.dy.shape),
  );
  const stages = [
    ...(derived.length > 0 ? [{ name: "prepare" as const, graph: prepare }] : []),
    { name: "micro" as const, graph: main },
  ];
  const data = new Map<string, Float32Array | Int32Array>([...planned.data, ["x", layer.x.data]]);
  for (const [path, { data: values }] of Object.entries(layer.weights)) data.set(`${path}.weight`, values);
  const keyOf = (end: string): string => keys.find(({ key }) => key.endsWith(end))!.key;
  for (const [end, values] of Object.entries(layer.params)) data.set(keyOf(end), values);
  const { plan, kernels } = generate(stages, storage, engine.target);
  const instance = await engine.executor.instantiate({ stages, storage }, data);
  if (derived.length > 0) await instance.run(["prepare"], {});
  const micro = plan.stages.find((stage) => stage.name === "micro")!;
  let running: Promise<unknown> = Promise.resolve();
  return {
    step() {
      running = instance.run(["micro"], { dy: layer.dy.data });
    },
    async sync() {
      await running;
      await engine.finished();
    },
    async outputs() {
      const grads = new Map<string, Float32Array>();
      for (const end of Object.keys(layer.params)) grads.set(end, await instance.read(`grad.${keyOf(end)}`));
      return layer.results((end) => grads.get(end)!, await instance.read("y"), await instance.read("grad.x"));
    },
    facts: factsOf(micro.dispatches, plan.peakBytes, kernels.length),
  };
}

function factsOf(
  dispatches: readonly { readonly bindings: readonly { readonly size: number }[] }[],
  peakBytes: number,
  pipelines: number,
): Workload["facts"] {
  return {
    dispatches: dispatches.length,
    bytesBound: dispatches.flatMap(({ bindings }) => bindings).reduce((sum, { size }) => sum + size, 0),
    peakMB: peakBytes / 2 ** 20,
    pipelines,
  };
}

/** The strictly upper triangle of (Q - Q^T) / 2 per block, and back to the gradient of Q. */
function packedSkew(
  q: Tensor,
  sign: number,
): { packed: Float32Array; unpack: (gradient: Float32Array) => Float32Array } {
  const [blocks, k] = q.shape as [number, number, number];
  const pairs = Array.from({ length: k }, (_unused, i) =>
    Array.from({ length: k - 1 - i }, (_none, j) => [i, i + 1 + j] as const),
  ).flat();
  const packed = new Float32Array(blocks * pairs.length);
  const at = (block: number, i: number, j: number): number => (block * k + i) * k + j;
  for (let b = 0; b < blocks; b++)
    pairs.forEach(([i, j], p) => {
      packed[b * pairs.length + p] = (sign * (q.data[at(b, i, j)]! - q.data[at(b, j, i)]!)) / 2;
    });
  return {
    packed,
    unpack: (gradient) => {
      const full = new Float32Array(q.data.length);
      for (let b = 0; b < blocks; b++)
        pairs.forEach(([i, j], p) => {
          full[at(b, i, j)] = (sign * gradient[b * pairs.length + p]!) / 2;
          full[at(b, j, i)] = -full[at(b, i, j)]!;
        });
      return full;
    },
  };
}

function oftLayer(engine: Engine, inputs: Tensors, c: Numbers, exact: boolean): Promise<Workload> {
  const { packed, unpack } = packedSkew(inputs.Q!, exact ? -1 : 1);
  return layerWorkload(engine, {
    config: {
      peft_type: "OFT",
      oft_block_size: c.bs,
      r: 0,
      use_cayley_neumann: !exact,
      target_modules: ["q"],
      peft_version: "0.21.2",
    },
    modules: [linear("model.q", c.d!, c.d!)],
    build: (builder, x, weight) => builder.add("site.linear", [x, weight("model.q")], { path: "model.q" }),
    x: inputs.x!,
    dy: inputs.dy!,
    weights: { "model.q": inputs.W! },
    params: { "oft_R.weight": packed },
    results: (grad, y, dx) => ({ y, dQ: unpack(grad("oft_R.weight")), dx }),
  });
}

export const workloads = {
  W1: (engine: Engine, inputs: Tensors, c: Numbers): Promise<Workload> =>
    layerWorkload(engine, {
      config: { peft_type: "LORA", r: c.r, lora_alpha: c.r! * c.scale!, target_modules: ["q"] },
      modules: [linear("model.q", c.d!, c.d!)],
      build: (builder, x, weight) => builder.add("site.linear", [x, weight("model.q")], { path: "model.q" }),
      x: inputs.x!,
      dy: inputs.dy!,
      weights: { "model.q": inputs.W! },
      params: { "lora_A.weight": inputs.A!.data, "lora_B.weight": inputs.B!.data },
      results: (grad, y, dx) => ({ y, dA: grad("lora_A.weight"), dB: grad("lora_B.weight"), dx }),
    }),
  W2n: (engine: Engine, inputs: Tensors, c: Numbers): Promise<Workload> => oftLayer(engine, inputs, c, false),
  W2s: (engine: Engine, inputs: Tensors, c: Numbers): Promise<Workload> => oftLayer(engine, inputs, c, true),
  W3: (engine: Engine, inputs: Tensors, c: Numbers): Promise<Workload> =>
    layerWorkload(engine, {
      config: { peft_type: "IA3", target_modules: ["down"], feedforward_modules: ["down"] },
      modules: [linear("mlp.gate", c.ff!, c.d!), linear("mlp.up", c.ff!, c.d!), linear("mlp.down", c.d!, c.ff!)],
      build: (builder, x, weight) => {
        const site = (path: string, input: number): number =>
          builder.add("site.linear", [input, weight(path)], { path });
        const [gate, up] = [site("mlp.gate", x), site("mlp.up", x)];
        return site("mlp.down", builder.mul(builder.mul(gate, builder.add("sigmoid", [gate])), up));
      },
      x: inputs.x!,
      dy: inputs.dy!,
      weights: { "mlp.gate": inputs.Wg!, "mlp.up": inputs.Wu!, "mlp.down": inputs.Wd! },
      params: { ia3_l: inputs.l!.data },
      results: (grad, y, dx) => ({ y, dl: grad("ia3_l"), dx }),
    }),
  W4: trainingStep,
  M128: matrixProduct,
  M512: matrixProduct,
};

/** One contraction, A f32[m, k] with B f32[k, n], which is a weight; the result is read back. */
async function matrixProduct(engine: Engine, { A, B }: Tensors): Promise<Workload> {
  const builder = new Builder("product");
  const a = builder.port("A", "input", "f32", A!.shape);
  const b = builder.port("B", "weight", "f32", B!.shape);
  const graph = builder.finish([{ name: "C", node: builder.einsum("mk,kn->mn", a, b) }]);
  const stages = [{ name: "forward" as const, graph }];
  const storage: ProgramStorage = { buffers: [], bindings: {} };
  const { plan, kernels } = generate(stages, storage, engine.target);
  const instance = await engine.executor.instantiate({ stages, storage }, new Map([["B", B!.data]]));
  let running: ReturnType<typeof instance.run>;
  return {
    step() {
      running = instance.run(["forward"], { A: A!.data }, ["C"]);
    },
    sync: async () => void (await running),
    outputs: () => running,
    facts: factsOf(plan.stages[0]!.dispatches, plan.peakBytes, kernels.length),
  };
}

interface StepInputs {
  readonly base: Tensors;
  readonly lora: Tensors;
  readonly ids: Int32Array;
  readonly tgt: Int32Array;
}

const projections: Readonly<Record<string, string>> = {
  q: "self_attn.q_proj",
  k: "self_attn.k_proj",
  v: "self_attn.v_proj",
  o: "self_attn.o_proj",
  g: "mlp.gate_proj",
  u: "mlp.up_proj",
  w: "mlp.down_proj",
  n1: "input_layernorm",
  n2: "post_attention_layernorm",
};

function fileKey(name: string): string {
  const whole: Readonly<Record<string, string>> = {
    emb: "model.embed_tokens.weight",
    head: "lm_head.weight",
    nf: "model.norm.weight",
  };
  const [, kind, layer] = /^(n1|n2|[a-z])(\d+)$/.exec(name) ?? [];
  return whole[name] ?? `model.layers.${layer}.${projections[kind!]}.weight`;
}

/** One training step of a small llama through `compile` and `Session.step`, status block read back. */
async function trainingStep(engine: Engine, inputs: Tensors, c: Numbers): Promise<Workload> {
  const { base, lora, ids, tgt } = inputs as unknown as StepInputs;
  const config = {
    ...{
      model_type: "llama",
      hidden_size: c.d,
      num_attention_heads: c.H,
      num_key_value_heads: c.H,
      num_hidden_layers: c.L,
      intermediate_size: c.ff,
    },
    ...{
      vocab_size: c.V,
      max_position_embeddings: c.T,
      rms_norm_eps: c.rmsEps,
      rope_theta: c.theta,
      hidden_act: "silu",
      tie_word_embeddings: false,
    },
  };
  const model = await loadModel({
    config: config as never,
    weights: Object.fromEntries(
      Object.entries(base).map(([name, tensor]) => [fileKey(name), { shape: [...tensor.shape], data: tensor.data }]),
    ),
  });
  const { target } = engine;
  const program = await compile(
    model,
    { peft_type: "LORA", r: c.r, lora_alpha: c.r! * c.scale!, target_modules: ["q_proj", "v_proj"] },
    { batch: c.B!, length: c.T!, target },
  );
  const session = await program.start({ device: engine.executor });
  const keyOf = (name: string): string =>
    `base_model.model.model.layers.${name.slice(2)}.${projections[name[1]!]}.lora_${name[0]}.weight`;
  const state = await session.optimizerState();
  for (const [name, { data }] of Object.entries(lora))
    state.params.set(data, program.storage.bindings[keyOf(name)]!.offset);
  await session.restore(state);
  const labels = Int32Array.from(tgt, (_unused, i) => (i % c.T! === 0 ? -100 : tgt[i - 1]!));
  let running: ReturnType<typeof session.step> | undefined;
  let loss = Number.NaN;
  const run = program.plan.stages.filter((stage) => stage.name === "micro" || stage.name === "update");
  return {
    step() {
      running = session.step({ input_ids: ids, labels }, { lr: c.lr!, weightDecay: c.wd! });
    },
    async sync() {
      ({ loss } = await running!);
    },
    async outputs() {
      const params = await session.parameters();
      return {
        loss: Float32Array.of(loss),
        ...Object.fromEntries(Object.keys(lora).map((name) => [name, params.get(keyOf(name))!])),
      };
    },
    facts: factsOf(
      run.flatMap((stage) => stage.dispatches),
      program.plan.peakBytes,
      program.generated.kernels.length,
    ),
  };
}
