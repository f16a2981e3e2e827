/** Graphs that matter for speed, by hand. */
import { Builder } from "../../src/ir/builder.ts";
import type { Graph, Output } from "../../src/ir/graph.ts";

const outputs = (named: Readonly<Record<string, number>>): Output[] =>
  Object.entries(named).map(([name, node]) => ({ name, node }));

/** y = x W^T + s (x A^T) B^T and its gradients for a given dy: W1 of the benchmarks. */
export function loraLinear(tokens: number, width: number, rank: number, scale = 2): Graph {
  const k = new Builder("lora linear");
  const x = k.port("x", "input", "f32", [tokens, width]);
  const dy = k.port("dy", "input", "f32", [tokens, width]);
  const w = k.port("W", "weight", "f32", [width, width]);
  const a = k.port("A", "param", "f32", [rank, width]);
  const b = k.port("B", "param", "f32", [width, rank]);
  const h = k.scale(k.einsum("ti,ri->tr", x, a), scale);
  const y = k.plus(k.einsum("ti,oi->to", x, w), k.einsum("tr,or->to", h, b));
  const dh = k.scale(k.einsum("to,or->tr", dy, b), scale);
  const dx = k.plus(k.einsum("to,oi->ti", dy, w), k.einsum("tr,ri->ti", dh, a));
  return k.finish(outputs({ y, dx, dA: k.einsum("tr,ti->ri", dh, x), dB: k.einsum("to,tr->or", dy, h) }));
}

/** The forward half alone. */
export function loraForward(tokens: number, width: number, rank: number): Graph {
  const full = loraLinear(tokens, width, rank);
  return { ...full, outputs: full.outputs.filter((o) => o.name === "y") };
}

export function softmaxGraph(rows: number, columns: number): Graph {
  const k = new Builder("softmax");
  const x = k.port("x", "input", "f32", [rows, columns]);
  const shifted = k.sub(x, k.broadcast(k.max(x, [1]), [rows, columns], [0]));
  const e = k.add("exp", [shifted]);
  return k.finish(outputs({ y: k.div(e, k.broadcast(k.sum(e, [1]), [rows, columns], [0])) }));
}

export function rmsNormGraph(rows: number, columns: number): Graph {
  const k = new Builder("rms norm");
  const x = k.port("x", "input", "f32", [rows, columns]);
  const gain = k.port("gain", "weight", "f32", [columns]);
  const mean = k.scale(k.sum(k.mul(x, x), [1]), 1 / columns);
  const factor = k.add("rsqrt", [k.plus(mean, k.constantLike(mean, 1e-5))]);
  const y = k.mul(k.mul(x, k.broadcast(factor, [rows, columns], [0])), k.broadcast(gain, [rows, columns], [1]));
  return k.finish(outputs({ y }));
}

/** silu(x G^T) * (x U^T) */
export function gatedGraph(tokens: number, width: number, hidden: number): Graph {
  const k = new Builder("gated");
  const x = k.port("x", "input", "f32", [tokens, width]);
  const [g, u] = ["G", "U"].map((name) => k.einsum("ti,oi->to", x, k.port(name, "weight", "f32", [hidden, width])));
  return k.finish(outputs({ y: k.mul(k.mul(g!, k.add("sigmoid", [g!])), u!) }));
}

/** softmax(q k^T / sqrt(d) with a causal mask) v */
export function attentionGraph(batch: number, length: number, heads: number, width: number): Graph {
  const k = new Builder("attention");
  const shape = [batch, length, heads, width];
  const [q, keys, v] = ["q", "k", "v"].map((name) => k.port(name, "input", "f32", shape)) as [number, number, number];
  const scores = k.scale(k.einsum("bshd,bthd->bhst", q, keys), 1 / Math.sqrt(width));
  const full = k.shape(scores);
  const seen = k.broadcast(k.compare("le", k.iota([length, length], 1), k.iota([length, length], 0)), full, [2, 3]);
  const masked = k.select(seen, scores, k.constantLike(scores, -1e30));
  const e = k.add("exp", [k.sub(masked, k.broadcast(k.max(masked, [3]), full, [0, 1, 2]))]);
  const p = k.div(e, k.broadcast(k.sum(e, [3]), full, [0, 1, 2]));
  return k.finish(outputs({ y: k.einsum("bhst,bthd->bshd", p, v) }));
}
