/**
 * The graphs of the stages `update` and `accumulate`. Both work on whole flat buffers (see `storage.ts`) and are elementwise but for the
 * gradient norm, so that each becomes one kernel after the norm's reductions.
 *
 * `update` is torch's AdamW in f32 after torch's `clip_grad_norm_`:
 *   norm = |g|;  g *= min(1, max_norm / (norm + 1e-6))  when max_norm > 0
 *   p *= 1 - lr * weight_decay;  m += (g - m)(1 - b1);  v = b2 v + (1 - b2) g g;  p -= lr / bias1 * m / (sqrt(v) / bias2 + eps)
 * with bias1 = 1 - b1^t and bias2 = sqrt(1 - b2^t) computed on the host. When the loss, the norm or a new number is not finite nothing changes
 * but `status`.
 * Gaps in the flat buffers have zero gradient, moments and value, and stay zero: 0 / (0 + eps) = 0.
 */
import { Builder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { runInput } from "../ir/run-inputs.ts";
import { slotSize, statusSize } from "./storage.ts";

/** Index of each number of the status block. `finite` is 1 when the update was made, 0 when loss, norm or a new number was not finite. */
export const statusFields = { loss: 0, gradNorm: 1, finite: 2, clipFactor: 3 } as const;

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export const adamWDefaults: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Values of the bias ports before step `step` (counted from 0). */
export function biasCorrections(step: number, options: AdamWOptions = adamWDefaults): { bias1: number; bias2: number } {
  return { bias1: 1 - options.beta1 ** (step + 1), bias2: Math.sqrt(1 - options.beta2 ** (step + 1)) };
}

/** A little less than the largest f32, so that no compiler which assumes finite numbers takes the comparison for always true. */
const largestFinite = 3.4e38;
/** Numbers added by one reduction; longer vectors are reduced in several rounds, each in a fixed order, which also keeps f32 sums exact enough. */
const chunk = 1024;

/** Sum of a vector in rounds of at most `chunk` summands. */
function sumInRounds(k: Builder, vector: number): number {
  const n = k.shape(vector)[0]!;
  if (n <= chunk) return k.sum(vector, [0]);
  const rows = Math.ceil(n / chunk);
  const padded = rows * chunk === n ? vector : k.add("pad", [vector], { low: [0], high: [rows * chunk - n] });
  return sumInRounds(k, k.sum(k.reshape(padded, [rows, chunk]), [1]));
}

/** Elementwise: the absolute value is one that f32 holds; false for NaN and infinities. */
function hasFiniteValue(k: Builder, x: number): number {
  return k.compare("le", k.add("abs", [x]), k.constantLike(x, largestFinite));
}

/** Whether all numbers of a vector are finite. */
function allFinite(k: Builder, vector: number): number {
  const bad = k.sub(k.constantLike(vector, 1), k.cast(hasFiniteValue(k, vector), "f32"));
  return k.compare("lt", sumInRounds(k, bad), k.constant(0.5));
}

/** torch's `clip_grad_norm_` factor: 1 when `max_norm` is 0 or the norm is small enough. */
function clipFactor(k: Builder, norm: number, maxNorm: number): number {
  const zero = k.constant(0);
  const one = k.constant(1);
  const ratio = k.div(maxNorm, k.plus(norm, k.constant(1e-6)));
  const clips = k.compare("and", k.compare("lt", zero, maxNorm), k.compare("lt", ratio, one));
  return k.select(clips, ratio, one);
}

const updateScalars = ["lr", "bias1", "bias2", "weight_decay", "max_norm"] as const;

export interface UpdateGraphOptions extends Partial<AdamWOptions> {
  /** Reads `grads_total` instead of `grads`. */
  readonly accumulate?: boolean;
  /** Numbers of the gradients' buffer; `size` + 64 unless given. */
  readonly gradients?: number;
}

/**
 * Stage `update` for flat buffers of `size` numbers (the size of the storage buffer `params`).
 * Ports and outputs `params`, `moment1`, `moment2`: f32[size], in place; port `grads` or `grads_total`: the gradients, then the loss;
 * the scalars that `runInputs` has for `update`; output `status`: f32[4], see `statusFields`.
 */
export function updateGraph(size: number, options: UpdateGraphOptions = {}): Graph {
  const { beta1, beta2, epsilon, gradients: length = size + slotSize } = { ...adamWDefaults, ...options };
  const k = new Builder("update");
  const vector = (name: string, numbers = size): number => k.port(name, "param", "f32", [numbers]);
  const [params, moment1, moment2] = [vector("params"), vector("moment1"), vector("moment2")];
  const gradients = vector(options.accumulate === true ? "grads_total" : "grads", length);
  const [lr, bias1, bias2, weightDecay, maxNorm] = updateScalars.map((name) => runInput(k, name));
  const loss = k.reshape(k.slice(gradients, [size], [size + 1]), []);
  const raw = k.slice(gradients, [0], [size]);

  const norm = k.add("sqrt", [sumInRounds(k, k.mul(raw, raw))]);
  const factor = clipFactor(k, norm, maxNorm!);
  const g = k.mul(raw, factor);

  // Element by element, so that no scalar is worked out in a kernel of its own.
  const decayed = k.sub(params, k.mul(k.mul(params, lr!), weightDecay!));
  const m = k.plus(moment1, k.scale(k.sub(g, moment1), 1 - beta1));
  const v = k.plus(k.scale(moment2, beta2), k.scale(k.mul(g, g), 1 - beta2));
  const denominator = k.plus(k.div(k.add("sqrt", [v]), bias2!), k.constant(epsilon));
  const p = k.sub(decayed, k.div(k.mul(k.div(m, denominator), lr!), bias1!));

  // The moments are averages of finite numbers: gradients whose squares have a finite sum, and what they were before.
  const finite = [hasFiniteValue(k, loss), hasFiniteValue(k, norm), allFinite(k, p)].reduce((a, b) =>
    k.compare("and", a, b),
  );
  const keep = k.broadcastTo(finite, [size]);
  const fields = [loss, norm, k.cast(finite, "f32"), factor].map((x) => k.reshape(x, [1]));
  return k.finish([
    { name: "params", node: k.select(keep, p, params) },
    { name: "moment1", node: k.select(keep, m, moment1) },
    { name: "moment2", node: k.select(keep, v, moment2) },
    { name: "status", node: k.reshape(k.concat(fields, 0), [statusSize]) },
  ]);
}

/**
 * Stage `accumulate`: `grads_total` = `grads` for the first micro-batch (input `first` = 1), `grads_total` + `grads` for the others (0).
 * The buffers are f32[length] and hold the loss too, so that the loss of the accumulated batch is summed with the gradients.
 */
export function accumulateGraph(length: number): Graph {
  const k = new Builder("accumulate");
  const total = k.port("grads_total", "param", "f32", [length]);
  const gradients = k.port("grads", "param", "f32", [length]);
  const first = runInput(k, "first");
  const starts = k.broadcastTo(k.compare("lt", k.constant(0), first), [length]);
  return k.finish([{ name: "grads_total", node: k.select(starts, gradients, k.plus(total, gradients)) }]);
}
