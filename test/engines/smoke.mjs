// smoke.mjs DEVICE: three training steps of a small llama, in whatever engine runs this file; prints one line of JSON.
import { compile, loadModel, openDevice, WebpeftError, webgpuExecutor } from "../../dist/index.js";

const [, , wanted] = process.argv;
const [width, hidden, vocabulary, length] = [32, 48, 40, 16];
const engine = globalThis.Deno
  ? `Deno ${Deno.version.deno}`
  : globalThis.Bun
    ? `Bun ${Bun.version}`
    : `Node ${process.versions.node}`;

let state = 7;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const drawn = (...shape) => {
  const size = shape.reduce((a, b) => a * b);
  return { shape, data: Float32Array.from({ length: size }, () => (shape.length === 1 ? 1 : (random() - 0.5) / 2)) };
};
const layer = {
  ...Object.fromEntries(["q", "k", "v", "o"].map((name) => [`self_attn.${name}_proj`, drawn(width, width)])),
  ...Object.fromEntries(["gate", "up"].map((name) => [`mlp.${name}_proj`, drawn(hidden, width)])),
  "mlp.down_proj": drawn(width, hidden),
  input_layernorm: drawn(width),
  post_attention_layernorm: drawn(width),
};
const model = await loadModel({
  config: {
    ...{ model_type: "llama", hidden_size: width, num_hidden_layers: 1, intermediate_size: hidden },
    ...{ num_attention_heads: 4, num_key_value_heads: 4, vocab_size: vocabulary, max_position_embeddings: 64 },
    ...{ rms_norm_eps: 1e-5, hidden_act: "silu", tie_word_embeddings: false },
  },
  weights: {
    "model.embed_tokens.weight": drawn(vocabulary, width),
    ...Object.fromEntries(Object.entries(layer).map(([name, tensor]) => [`model.layers.0.${name}.weight`, tensor])),
    "model.norm.weight": drawn(width),
    "lm_head.weight": drawn(vocabulary, width),
  },
});

async function open() {
  if (wanted !== "webgpu") return { device: wanted };
  const opened = await openDevice({ prefer: "webgpu" });
  return { device: webgpuExecutor(opened), release: () => opened.dispose(), source: opened.adapter.source };
}

async function main() {
  const { device, release, source } = await open();
  const program = await compile(
    model,
    { peft_type: "LORA", r: 4, target_modules: ["q_proj", "v_proj"] },
    { batch: 1, length },
  );
  const session = await program.start({ device, seed: 3 });
  const ids = Int32Array.from({ length }, (_unused, i) => (i * 11) % vocabulary);
  const losses = [];
  for (let step = 0; step < 3; step++)
    losses.push((await session.step({ input_ids: ids, labels: ids }, { lr: 0.01 })).loss);
  const { device: description } = session;
  session.dispose();
  release?.();
  return { engine, wanted, description, source, losses };
}

const record = await main().catch((error) => {
  if (wanted === "webgpu" && error instanceof WebpeftError && error.code === "DEVICE-NONE")
    return { engine, wanted, none: error.message };
  throw error;
});
console.log(JSON.stringify(record));
process.exit(0);
