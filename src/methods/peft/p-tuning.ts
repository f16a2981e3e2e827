/** P-tuning: trained embeddings behind a small network, in front of those of the text. arXiv 2103.10385. */
import type { Builder } from "../../ir/builder.ts";
import { makesTensor, optional } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const pTuning = {
  line: 9,
  calls: 23,
  text: `method p_tuning {
  on prompt { rows' = encoder ? prompts[0 : num_virtual_tokens, :] : stored[0 : num_virtual_tokens, :]; }
  let made = iterate(k: 0 .. last / 2 + 1, x: is_lstm ? seen : E, apply(matrix(weight[2 * k]), k == 0 ? x : at_least(x, 0)) + bias[2 * k]);
  let seen = iterate(l: 0 .. deep, x: E, y: l == 0 ? x : apply(dropout(encoder_dropout, 2 * h), x),
    concat(1, lstm(y, weight_ih[l], weight_hh[l], bias_ih[l] + bias_hh[l]),
              lstm(y, weight_ih_reverse[l], weight_hh_reverse[l], bias_ih_reverse[l] + bias_hh_reverse[l], true)));
  shared param E[p, d] = normal at "prompt_encoder.default.embedding.weight" from encoder when encoder;
  shared param weight_ih[4 * h, l == 0 ? d : 2 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.weight_ih_l{l}" from encoder when encoder;
  shared param weight_hh[4 * h, h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.weight_hh_l{l}" from encoder when encoder;
  shared param bias_ih[4 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.bias_ih_l{l}" from encoder when encoder;
  shared param bias_hh[4 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.bias_hh_l{l}" from encoder when encoder;
  shared param weight_ih_reverse[4 * h, l == 0 ? d : 2 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.weight_ih_l{l}_reverse" from encoder when encoder;
  shared param weight_hh_reverse[4 * h, h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.weight_hh_l{l}_reverse" from encoder when encoder;
  shared param bias_ih_reverse[4 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.bias_ih_l{l}_reverse" from encoder when encoder;
  shared param bias_hh_reverse[4 * h] for l: 0 .. deep = uniform(-1 / sqrt(h), 1 / sqrt(h)) at "prompt_encoder.default.lstm_head.bias_hh_l{l}_reverse" from encoder when encoder;
  shared param weight[k == last ? d : head, k == 0 ? (is_lstm ? head : d) : head] for k: 0 .. last + 1 by 2 = kaiming_uniform at "prompt_encoder.default.mlp_head.{k}.weight" from encoder when encoder;
  shared param bias[k == last ? d : head] for k: 0 .. last + 1 by 2 = uniform(-1 / sqrt(k == 0 and not is_lstm ? d : head), 1 / sqrt(k == 0 and not is_lstm ? d : head)) at "prompt_encoder.default.mlp_head.{k}.bias" from encoder when encoder;
  computed prompts[p, d] = made at "prompt_embeddings" when encoder;
  shared stored[p, d] = zeros at "prompt_embeddings" when not encoder;
  let p = num_virtual_tokens * num_transformer_submodules, d = token_dim, h = encoder_hidden_size, is_lstm = encoder_reparameterization_type == "LSTM";
  let deep = is_lstm ? encoder_num_layers : 0, head = is_lstm ? 2 * h : h, last = is_lstm ? 2 : 4;
  config num_virtual_tokens: int? = null (minimum: 1) "virtual tokens in front of the text",
         encoder_reparameterization_type: string = "MLP" (one_of: ["MLP", "LSTM"]) "MLP: three layers; LSTM: layers in both directions and two more",
         encoder_hidden_size: int? = null (minimum: 1) "width of the network; token_dim unless given",
         encoder_num_layers: int = 2 (minimum: 1) "layers of the LSTM", encoder_dropout: float = 0 (minimum: 0) "dropout between the layers of the LSTM",
         token_dim: int? = null "hidden width of the model",
         num_transformer_submodules: int? = null "1; 2 for models with encoder and decoder", num_layers: int? = null "layers of the model",
         num_attention_heads: int? = null "heads of the model";
  require num_virtual_tokens != null else "num_virtual_tokens must be given.";
  require token_dim == sites.max.out else "token_dim = {token_dim} is not the hidden width of the model.";
  require num_transformer_submodules == 1 or (encoder_decoder and num_transformer_submodules == 2)
    else "num_transformer_submodules = {num_transformer_submodules} is not supported: the model has not so many.";
  require (task_type == "SEQ_2_SEQ_LM") == encoder_decoder else "task_type = {task_type} is not what the base model is for.";
  require is_lstm or encoder_num_layers == 2 warn "for MLP, the argument \`encoder_num_layers\` is ignored. Exactly 2 MLP layers are used.";
  require is_lstm or encoder_dropout == 0 warn "encoder_dropout = {encoder_dropout} has no effect on an MLP.";
  require encoder_dropout < 1 else "encoder_dropout = {encoder_dropout} is no probability below 1.";
}`,
  profile: { className: "PromptEncoderConfig", shared: ["modules_to_save"], modelFacts: "embeddings" },
  builtins: [
    makesTensor(
      "lstm",
      { x: "tensor", of_input: "tensor", of_state: "tensor", bias: "tensor", reverse: optional("condition", false) },
      "States [steps, h] of an LSTM over x [steps, in], begun with zeros; weights [4 h, in], [4 h, h] and [4 h] in PyTorch's order of gates. reverse: from the last step to the first.",
      ({ x, of_input: ofInput, of_state: ofState, bias, reverse }, b, context) => {
        const shapes = [x, ofInput, ofState, bias].map((id) => b.shape(id));
        const [[steps, n], , [, width = 0]] = shapes as [number[], number[], number[]];
        const wanted = [[steps, n], [4 * width, n], [4 * width, width], [4 * width]];
        if (JSON.stringify(shapes) !== JSON.stringify(wanted))
          throw context.fail(
            "The sizes of an LSTM do not fit.",
            "[t, n], [4 h, n], [4 h, h], [4 h]",
            JSON.stringify(shapes),
          );
        if (steps! > mostSteps)
          throw context.fail("The LSTM has too many steps to be written out.", `at most ${mostSteps}`, String(steps));
        return lstm(b, x, { ofInput, ofState, bias }, reverse);
      },
    ),
  ],
} satisfies MethodRecord;

/** Every step is a dozen nodes of the graph. */
const mostSteps = 1024;

interface LstmWeights {
  /** [4 h, in] and [4 h, h]: rows of the gates input, forget, cell and output, as PyTorch has them. */
  readonly ofInput: number;
  readonly ofState: number;
  /** [4 h]: both biases of PyTorch, added up. */
  readonly bias: number;
}

/** States [steps, h] of an LSTM over x [steps, in], from zeros; `reverse` begins with the last step. */
function lstm(b: Builder, x: number, { ofInput, ofState, bias }: LstmWeights, reverse: boolean): number {
  const steps = b.shape(x)[0]!;
  const width = b.shape(ofState)[1]!;
  const inputs = b.einsum("ti,gi->tg", x, ofInput);
  const given = b.plus(inputs, b.broadcast(bias, b.shape(inputs), [1]));
  const part = (gates: number, k: number): number => b.slice(gates, [0, k * width], [1, (k + 1) * width]);
  const states: number[] = [];
  let [state, cell]: (number | undefined)[] = [];
  for (let turn = 0; turn < steps; turn++) {
    const t = reverse ? steps - 1 - turn : turn;
    const own = b.slice(given, [t, 0], [t + 1, 4 * width]);
    const gates = state === undefined ? own : b.plus(own, b.einsum("th,gh->tg", state, ofState));
    const open = (k: number): number => b.add("sigmoid", [part(gates, k)]);
    const added = b.mul(open(0), b.add("tanh", [part(gates, 2)]));
    cell = cell === undefined ? added : b.plus(b.mul(open(1), cell), added);
    state = b.mul(open(3), b.add("tanh", [cell]));
    states[t] = state;
  }
  return b.concat(states, 0);
}
