/** LoRA with rsLoRA and DoRA. arXiv 2106.09685, 2312.03732, 2402.09353. */
import { combineLowRank } from "../combine/lora.ts";
import { everything, without } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const lora = {
  line: 9,
  calls: -6,
  text: `method lora {
  on linear { b' = lora_bias ? b + s * beta : b; }
  on linear, embedding {
    W' = use_dora ? W + (diag(magnitude / stop_gradient(rownorm(V))) @ V - W0) @ drop : W + s * left @ A @ drop;
    let V = W0 + s * left @ A, left = init == "mica" ? stop_gradient(B) : B;
    let s = per_adapter(lora_alpha / (use_rslora ? sqrt(r) : r));
  }
  on linear {
    param A[r, in] = init_lora_weights == "gaussian" ? normal(0, 1 / r) : kaiming_uniform at "lora_A.weight" as kernel;
    param B[out, r] = init_lora_weights == false ? kaiming_uniform : zeros at "lora_B.weight" as pointwise;
    param beta[out] = init_lora_weights == false ? uniform(-1 / sqrt(r), 1 / sqrt(r)) : zeros at "lora_B.bias" when lora_bias;
    let drop = dropout(lora_dropout);
  }
  on embedding {
    param A[r, in] = init_lora_weights == false ? normal(0, 1) : zeros at "lora_embedding_A";
    param B[out, r] = normal(0, 1) at "lora_embedding_B";
    let drop = identity(in);
    require not lora_bias else "lora_bias=True is not supported for Embedding.";
  }
  on linear, embedding {
    param magnitude[out] = rownorm(V) at "lora_magnitude_vector" as channels when use_dora;
  }
  on embedding, linear from trainable_token_indices tied {
    W' = head ? changed.T : changed;
    let changed = (head ? W.T : W) @ without(tokens, known) + rows.T @ select(tokens, known);
    param rows[count(tokens), head ? in : out] = columns(head ? W0.T : W0, tokens) at "token_adapter.trainable_tokens_delta" replaces tokens;
    let tokens = trainable_token_indices, head = site.kind == "linear", known = head ? out : in;
    require distinct(tokens) and all_below(tokens, known) else "trainable_token_indices must be different numbers below {known}.";
  }
  on parameter from target_parameters {
    W' = W + s * blockdiag(transpose(reshape(B, [out / n, r, n]), [2, 0, 1])) @ A;
    param A[r * n, in] = init_lora_weights == "gaussian" ? normal(0, 1 / r) : kaiming_uniform at "lora_A.weight";
    param B[out / n, r * n] = init_lora_weights == false ? kaiming_uniform : zeros at "lora_B.weight";
    let n = site.matrices, s = lora_alpha / (use_rslora ? sqrt(r) : r);
    require lora_dropout == 0 else "lora.ParamWrapper does not work with lora_dropout != 0.";
    require not lora_bias else "lora.ParamWrapper does not work with lora_bias=True.";
    require not use_dora else "lora.ParamWrapper does not work with use_dora=True.";
  }
  let init = init_lora_weights, fresh = init == true or init == false or init == "gaussian";
  config r: int = 8 (above: 0, pattern: rank_pattern, padded: true) "rank of the update",
         lora_alpha: float = 8 (pattern: alpha_pattern) "scale of the update, divided by r",
         lora_dropout: float = 0 (minimum: 0, maximum: 1) "dropout on the input of the update",
         use_rslora: bool = false "divide lora_alpha by sqrt(r)", use_dora: bool = false "train the norms of the rows apart from their directions",
         lora_bias: bool = false "a trained bias on B", init_lora_weights: any = true "false: B is random too",
         rank_pattern: int_map = {}, alpha_pattern: float_map = {}, trainable_token_indices: any? = null "tokens whose rows train",
         target_parameters: any? = null "parameters of experts and routers that are adapted as layers are";
  require not (lora_bias and use_dora) else "The argument lora_bias=True is not supported together with DoRA.";
  require fresh or loaded and (init == "orthogonal" or init == "eva" or init == "mica" or init == "lora_ga")
    else "init_lora_weights = {init_lora_weights} is not supported: it needs data, or PEFT changes the base weight with it when it loads the file."
    help "Use true, false or \\"gaussian\\". Trained files of orthogonal, eva, mica and lora_ga load; of others PEFT's path_initial_model_for_weight_conversion makes LoRAs.";
  require not training or init != "mica" warn "PEFT trains lora_A of MiCA alone; here weight decay acts on lora_B too.";
  require lora_dropout < 1 else "lora_dropout must be below 1.";
}`,
  profile: {
    className: "LoraConfig",
    shared: [...without(everything, "init_weights"), "ensure_weight_tying"],
    tied: { "lora_A.weight": "lora_embedding_B", "lora_B.weight": "lora_embedding_A" },
    checks: "abc",
    patches: true,
    fuses: true,
    noTargets: "Please specify `target_modules` or `target_parameters`in `peft_config`",
    passive: {
      alora_invocation_tokens: null,
      arrow_config: null,
      kasa_config: null,
      layer_replication: null,
      lora_bias: false,
      megatron_config: null,
      monteclora_config: null,
      target_parameters: null,
      trainable_token_indices: null,
      use_bdlora: null,
      use_qalora: false,
      velora_config: null,
    },
    inert: {
      corda_config: null,
      eva_config: null,
      lora_ga_config: null,
      loftq_config: {},
      megatron_core: "megatron.core",
      qalora_group_size: 16,
    },
  },
  combine: combineLowRank,
} satisfies MethodRecord;
