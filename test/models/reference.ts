/** A llama forward pass in plain loops, written from the papers and from transformers' documentation, sharing nothing with src/models. */

export interface ReferenceModel {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly layers: number;
  readonly epsilon: number;
  readonly theta: number;
  /** Frequency of pair i after scaling, given the plain one. */
  readonly scaleFrequency?: (frequency: number) => number;
  readonly activation?: (x: number) => number;
  readonly window?: (layer: number) => number | undefined;
  readonly headKey: string;
}

export type Weights = Readonly<Record<string, ArrayLike<number>>>;

type Rows = number[][];

/** y = x W^T (+ b) for every row of x. */
function project(x: Rows, weights: Weights, path: string, out: number, key = `${path}.weight`): Rows {
  const w = weights[key]!;
  const bias = weights[`${path}.bias`];
  return x.map((row) =>
    Array.from({ length: out }, (_unused, o) => {
      let sum = bias?.[o] ?? 0;
      for (let i = 0; i < row.length; i++) sum += row[i]! * w[o * row.length + i]!;
      return sum;
    }),
  );
}

function rmsNorm(x: Rows, gain: ArrayLike<number>, epsilon: number): Rows {
  return x.map((row) => {
    let squares = 0;
    for (const v of row) squares += v * v;
    const root = Math.sqrt(squares / row.length + epsilon);
    return row.map((v, i) => (v / root) * gain[i]!);
  });
}

/** Turns pairs (x[i], x[i + width / 2]) of one head at `position`. */
function turn(model: ReferenceModel, head: readonly number[], position: number): number[] {
  const half = head.length / 2;
  const result = [...head];
  for (let i = 0; i < half; i++) {
    const plain = 1 / model.theta ** ((2 * i) / head.length);
    const angle = position * (model.scaleFrequency?.(plain) ?? plain);
    result[i] = head[i]! * Math.cos(angle) - head[i + half]! * Math.sin(angle);
    result[i + half] = head[i + half]! * Math.cos(angle) + head[i]! * Math.sin(angle);
  }
  return result;
}

function attention(model: ReferenceModel, weights: Weights, layer: number, x: Rows, mask: readonly number[]): Rows {
  const path = `model.layers.${layer}.self_attn`;
  const { heads, keyValueHeads, headWidth } = model;
  const q = project(x, weights, `${path}.q_proj`, heads * headWidth);
  const k = project(x, weights, `${path}.k_proj`, keyValueHeads * headWidth);
  const v = project(x, weights, `${path}.v_proj`, keyValueHeads * headWidth);
  const window = model.window?.(layer) ?? Number.POSITIVE_INFINITY;
  const head = (row: readonly number[], h: number): number[] => row.slice(h * headWidth, (h + 1) * headWidth);
  const context: Rows = x.map(() => new Array<number>(heads * headWidth).fill(0));
  for (let h = 0; h < heads; h++) {
    const shared = Math.floor((h * keyValueHeads) / heads);
    for (let i = 0; i < x.length; i++) {
      const query = turn(model, head(q[i]!, h), i);
      const weightsOfKeys = x.map((_row, t) => {
        if (t > i || i - t >= window || mask[t] === 0) return 0;
        const key = turn(model, head(k[t]!, shared), t);
        return Math.exp(query.reduce((sum, a, d) => sum + a * key[d]!, 0) / Math.sqrt(headWidth));
      });
      const total = weightsOfKeys.reduce((a, b) => a + b, 0);
      for (let t = 0; t < x.length; t++) {
        const share = total === 0 ? 1 / x.length : weightsOfKeys[t]! / total;
        for (let d = 0; d < headWidth; d++) context[i]![h * headWidth + d]! += share * head(v[t]!, shared)[d]!;
      }
    }
  }
  return project(context, weights, `${path}.o_proj`, model.hidden);
}

function mlp(model: ReferenceModel, weights: Weights, layer: number, x: Rows): Rows {
  const path = `model.layers.${layer}.mlp`;
  const activation = model.activation ?? ((z: number) => z / (1 + Math.exp(-z)));
  const gate = project(x, weights, `${path}.gate_proj`, model.intermediate);
  const up = project(x, weights, `${path}.up_proj`, model.intermediate);
  const inner = gate.map((row, i) => row.map((g, j) => activation(g) * up[i]![j]!));
  return project(inner, weights, `${path}.down_proj`, model.hidden);
}

const plus = (a: Rows, b: Rows): Rows => a.map((row, i) => row.map((v, j) => v + b[i]![j]!));

/** Logits [s, vocabulary] of one sequence. */
export function referenceLogits(
  model: ReferenceModel,
  weights: Weights,
  ids: readonly number[],
  mask: readonly number[],
): Rows {
  const table = weights["model.embed_tokens.weight"]!;
  let x: Rows = ids.map((id) => Array.from({ length: model.hidden }, (_unused, i) => table[id * model.hidden + i]!));
  for (let layer = 0; layer < model.layers; layer++) {
    const path = `model.layers.${layer}`;
    const a = rmsNorm(x, weights[`${path}.input_layernorm.weight`]!, model.epsilon);
    x = plus(x, attention(model, weights, layer, a, mask));
    const b = rmsNorm(x, weights[`${path}.post_attention_layernorm.weight`]!, model.epsilon);
    x = plus(x, mlp(model, weights, layer, b));
  }
  const last = rmsNorm(x, weights["model.norm.weight"]!, model.epsilon);
  return project(last, weights, "lm_head", model.vocabulary, model.headKey);
}

/** Sum over counted labels of -log p, labels not shifted. */
export function referenceLoss(logits: Rows, labels: readonly number[]): number {
  let loss = 0;
  for (let t = 0; t + 1 < labels.length; t++) {
    const label = labels[t + 1]!;
    if (label === -100) continue;
    const row = logits[t]!;
    loss += Math.log(row.reduce((sum, v) => sum + Math.exp(v), 0)) - row[label]!;
  }
  return loss;
}
