/** X-LoRA: a classifier of the hidden states weighs trained LoRAs, token by token. arXiv 2402.07148. */
import type { Builder } from "../../ir/builder.ts";
import { makesKnown, makesOperator, makesTensor } from "../lib/builtin.ts";
import { largestEntries } from "../lib/softmax.ts";
import type { MethodRecord } from "../record.ts";

export const xlora = {
  line: 10,
  calls: 5,
  text: `method xlora {
  on linear, embedding from adapters {
    W' = first_pass and scaling_pass_value == 0 ? W : W + global_scaling_weight * mixture(weights);
    let own = first_pass ? equal : S[:, :, layerwise_scalings ? site.index : 0, :], kept = top_k_lora == null ? own : keep_largest(own, top_k_lora);
    let weights = merging ? gates : enable_softmax_topk ? softmax_nonzero(kept) : kept;
  }
  report scalings = layerwise_scalings ? S : reshape(apply(fold(L * E, E).T, reshape(S, [samples, T, E])), [samples, T, L, E]);
  shared let by_layer = reshape(logits, [samples, T, layerwise_scalings ? L : 1, E]), S = enable_softmax ? softmax(by_layer / softmax_temperature) : by_layer, equal = scaling_pass_value * real(integers(repeated(1, E)));
  shared let logits = iterate(k: 0 .. xlora_depth, h: normal, apply(matrix(weight[k * step]),
    k == 0 ? h : apply(dropout(xlora_dropout_p, xlora_size), at_least(h, 0))) + (use_bias ? bias[k * step] : 0));
  shared let normal = layernorm_type == null ? x : x / root(power + (layernorm_type == "rms" ? 1e-6 : 1e-5));
  shared let x = layernorm_type == "layer" ? hidden - mean : hidden, power = reshape(sum(x .* x, [2]), [samples, T, 1]) / hidden_width;
  shared let T = size(hidden, 1), mean = reshape(sum(hidden, [2]), [samples, T, 1]) / hidden_width;
  mixes adapters trained if use_trainable_adapters;
  given gates[E];
  shared param weight[k == last ? outs : xlora_size, k == 0 ? hidden_width : xlora_size] for k: 0 .. last + 1 by step = kaiming_uniform at "base_model.internal_xlora_classifier.layers.{k}.weight";
  shared param bias[k == last ? outs : xlora_size] for k: 0 .. last + 1 by step = uniform(-1 / sqrt(k == 0 ? hidden_width : xlora_size), 1 / sqrt(k == 0 ? hidden_width : xlora_size)) at "base_model.internal_xlora_classifier.layers.{k}.bias" when use_bias;
  let E = experts.count, L = sites.count, outs = layerwise_scalings ? L * E : E, step = xlora_dropout_p > 0 ? 3 : 2, last = (xlora_depth - 1) * step;
  config hidden_size: int? = null (minimum: 1) "width of the hidden states: that of the model",
         adapters: any = null "name of an expert -> folder of its LoRA, from the adapter's own; their order counts",
         xlora_depth: int = 1 (minimum: 1, maximum: 64) "layers of the classifier", xlora_size: int = 2048 (minimum: 1) "width between them",
         xlora_dropout_p: float = 0.2 (minimum: 0, maximum: 1) "dropout between them",
         enable_softmax: bool = true "weights of a token add up to 1", softmax_temperature: float = 1 (minimum: 1e-6) "of that softmax",
         enable_softmax_topk: bool = false "softmax of the weights that top_k_lora leaves", top_k_lora: int? = null (minimum: 1) "experts of a token; null: all",
         layerwise_scalings: bool = false "weights differ between the adapted layers", use_trainable_adapters: bool = false "the experts train too",
         scaling_pass_value: float = 0 "weight in the first pass of the experts that top_k_lora leaves", global_scaling_weight: float = 1 "factor of all experts",
         layernorm_type: string? = null (extension: true) "hidden states are normalised first, by rms or layer", use_bias: bool = true (extension: true) "false: layers without bias";
  require xlora_dropout_p < 1 else "xlora_dropout_p must be below 1.";
  require hidden_size == hidden_width else "hidden_size = {hidden_size} is not the hidden width of the model, {hidden_width}.";
  require layernorm_type == null or layernorm_type == "rms" or layernorm_type == "layer" else "layernorm_type = {layernorm_type} is not known." help "Use rms or layer.";
  require not enable_softmax_topk or top_k_lora != null warn "\`enable_softmax_topk\` enabled \`top_k_lora\` is not set";
  require not (enable_softmax_topk and enable_softmax) warn "\`enable_softmax_topk\` and \`enable_softmax\` are both enabled. This will result in worse performance.";
  require not (present(layernorm_type) or present(use_bias)) save "PEFT does not know layernorm_type and use_bias: it computes other numbers with this adapter.";
  require experts.count > 0 else "adapters = null: there is nothing to mix." help "Name the folders of trained LoRAs.";
  require all_hold(experts.configs, "peft_type", "LORA") else "Only LoRAs are mixed.";
  require all_hold(experts.configs, "use_dora", false) else "X-LoRA currently does not support LoRA layers with DoRA";
  let only_weights = all_hold(experts.configs, "bias", "none") and all_hold(experts.configs, "lora_bias", false) and all_hold(experts.configs, "modules_to_save", null);
  require only_weights and all_hold(experts.configs, "trainable_token_indices", null) else "An expert changes more than weights: its biases, modules_to_save or tokens cannot be mixed.";
}`,
  profile: { className: "XLoraConfig", shared: [] },
  builtins: [
    makesOperator(
      "mixture",
      { weights: "tensor" },
      "What the experts add to the weight of the site, each times its weight: a number for all, or along the last axis one for each, which may differ between samples and tokens [samples, tokens, experts].",
      ({ weights }, b, context) => {
        const [experts, count] = [context.experts(), b.shape(weights).at(-1)];
        if (count !== undefined && count !== experts.length)
          throw context.fail("mixture wants a weight for every expert.", `${experts.length}`, `${count}`);
        const terms = experts.flatMap((delta, i) => (delta === undefined ? [] : [weighted(b, delta, weights, i)]));
        if (terms.length === 0) throw context.fail("No expert changes this module.");
        return b.add("op.add", terms);
      },
    ),
    makesKnown(
      "all_hold",
      { maps: "known", key: "text", value: "known" },
      "Whether every map of a list has this value under a key.",
      ({ maps, key, value }, context) => {
        if (!Array.isArray(maps)) throw context.fail("all_hold wants a list of maps.");
        return maps.every((map) => JSON.stringify(map?.[key] ?? null) === JSON.stringify(value));
      },
    ),
    makesTensor(
      "keep_largest",
      { x: "tensor", k: "count" },
      "The k largest entries along the last axis, of equal ones the first; 0 in place of the others.",
      ({ x, k }, b) =>
        k >= (b.shape(x).at(-1) ?? 0) ? x : b.mul(x, largestEntries(b, b.add("stop_gradient", [x]), k)),
    ),
  ],
} satisfies MethodRecord;

/** One expert's delta with its weight: one number for all, or one for every token. */
function weighted(b: Builder, delta: number, weights: number, expert: number): number {
  const shape = b.shape(weights);
  if (shape.length === 0) return b.add("op.scale", [delta, weights]);
  const own = b.slice(
    weights,
    shape.map((_n, axis) => (axis === shape.length - 1 ? expert : 0)),
    shape.map((n, axis) => (axis === shape.length - 1 ? expert + 1 : n)),
  );
  const entries = b.reshape(own, shape.slice(0, -1));
  if (shape.length === 1) return b.add("op.scale", [delta, entries]);
  return b.add("op.compose", [delta, b.add("op.scalar_gate", [entries], { size: b.operator(delta).in })]);
}
