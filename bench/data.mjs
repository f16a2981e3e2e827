// Deterministic inputs and shapes shared by every peer. All tensors are row-major Float32Array.
export function rng(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const tensor = (r, shape, s) => {
  const n = shape.reduce((a, b) => a * b, 1),
    d = new Float32Array(n);
  for (let i = 0; i < n; i++) d[i] = (r() * 2 - 1) * s;
  return { shape, data: d };
};
export const cfg = {
  M128: { m: 128, k: 512, n: 512 },
  M512: { m: 512, k: 512, n: 512 },
  W1: { N: 128, d: 512, r: 8, scale: 2 },
  W2: { N: 128, d: 512, bs: 32 },
  W3: { N: 128, d: 512, ff: 1024 },
  W4: {
    L: 4,
    d: 128,
    H: 4,
    ff: 352,
    V: 512,
    T: 64,
    B: 2,
    r: 8,
    scale: 2,
    lr: 1e-3,
    b1: 0.9,
    b2: 0.999,
    eps: 1e-8,
    wd: 0.01,
    theta: 10000,
    rmsEps: 1e-5,
  },
};
export function inputs(w) {
  const r = rng(1234 + w.charCodeAt(1)),
    c = cfg[w] ?? cfg[w.slice(0, 2)],
    t = (s, k) => tensor(r, s, k);
  if (w.startsWith("M")) return { A: t([c.m, c.k], 1), B: t([c.k, c.n], 0.05) };
  if (w === "W1")
    return {
      x: t([c.N, c.d], 1),
      W: t([c.d, c.d], 0.05),
      A: t([c.r, c.d], 0.05),
      B: t([c.d, c.r], 0.05),
      dy: t([c.N, c.d], 1),
    };
  if (w.startsWith("W2"))
    return { x: t([c.N, c.d], 1), W: t([c.d, c.d], 0.05), Q: t([c.d / c.bs, c.bs, c.bs], 0.05), dy: t([c.N, c.d], 1) };
  if (w === "W3")
    return {
      x: t([c.N, c.d], 1),
      Wg: t([c.ff, c.d], 0.05),
      Wu: t([c.ff, c.d], 0.05),
      Wd: t([c.d, c.ff], 0.05),
      l: (() => {
        const l = t([c.ff], 0.3);
        for (let i = 0; i < c.ff; i++) l.data[i] += 1;
        return l;
      })(),
      dy: t([c.N, c.d], 1),
    };
  if (w === "W4") {
    const s = 1 / Math.sqrt(c.d),
      ones = (n) => ({ shape: [n], data: new Float32Array(n).fill(1) });
    const base = { emb: t([c.V, c.d], 0.5), head: t([c.V, c.d], s * 1.7), nf: ones(c.d) },
      lora = {};
    for (let i = 0; i < c.L; i++) {
      for (const k of ["q", "k", "v", "o"]) base[k + i] = t([c.d, c.d], s * 1.7);
      base[`g${i}`] = t([c.ff, c.d], s * 1.7);
      base[`u${i}`] = t([c.ff, c.d], s * 1.7);
      base[`w${i}`] = t([c.d, c.ff], 1.7 / Math.sqrt(c.ff));
      base[`n1${i}`] = ones(c.d);
      base[`n2${i}`] = ones(c.d);
      for (const k of ["q", "v"]) {
        lora[`A${k}${i}`] = t([c.r, c.d], 0.1);
        lora[`B${k}${i}`] = t([c.d, c.r], 0.02);
      }
    }
    const ids = new Int32Array(c.B * c.T),
      tgt = new Int32Array(c.B * c.T);
    for (let i = 0; i < ids.length; i++) {
      ids[i] = (r() * c.V) | 0;
      tgt[i] = (r() * c.V) | 0;
    }
    const counted = Float32Array.from(ids, (_, i) => ((i + 1) % c.T === 0 ? 0 : 1)); // a causal model has no target behind its last token
    const hd = c.d / c.H,
      cos = new Float32Array(c.T * hd),
      sin = new Float32Array(c.T * hd); // Hugging Face rotate-half layout
    for (let p = 0; p < c.T; p++)
      for (let j = 0; j < hd; j++) {
        const f = p / c.theta ** ((2 * (j % (hd / 2))) / hd);
        cos[p * hd + j] = Math.cos(f);
        sin[p * hd + j] = Math.sin(f);
      }
    const mask = new Float32Array(c.T * c.T);
    for (let i = 0; i < c.T; i++) for (let j = i + 1; j < c.T; j++) mask[i * c.T + j] = -1e9;
    return {
      base,
      lora,
      ids,
      tgt,
      counted,
      cos: { shape: [c.T, hd], data: cos },
      sin: { shape: [c.T, hd], data: sin },
      mask: { shape: [c.T, c.T], data: mask },
    };
  }
  throw new Error(w);
}
