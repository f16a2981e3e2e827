// tfjs peer. Each workload: async make(tf, inputs, cfg) -> { step(): promise-free launch, outputs(): {name: Float32Array}, sync() }
export const name = "tfjs";
export async function load(backend) {
  // The bundle has gradients but no backend of WebAssembly, which finds its files beside itself only.
  const tf =
    backend === "webgpu" ? await import("./results/tfjs.bundle.mjs") : (await import("@tensorflow/tfjs-core")).default;
  if (backend === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  if (!(await tf.setBackend(backend))) throw new Error(`backend ${backend}`);
  await tf.ready();
  return tf;
}
const T = (tf, t) => tf.tensor(t.data, t.shape);
const dropAll = (o) => {
  for (const t of Object.values(o)) t.dispose();
};
const read = async (o) => {
  const r = {};
  for (const k in o) r[k] = new Float32Array(await o[k].data());
  return r;
};
// one fwd+bwd of `f(vars) -> y` against upstream dy; returns {y, d<name>}
function fb(tf, names, vars, dy, f) {
  return tf.tidy(() => {
    let y;
    const { grads } = {
      value: null,
      ...tf.valueAndGrads((...v) => {
        y = tf.keep(f(Object.fromEntries(names.map((n, i) => [n, v[i]]))));
        return tf.sum(tf.mul(y, dy));
      })(names.map((n) => vars[n])),
    };
    const out = { y };
    names.forEach((n, i) => {
      out[`d${n}`] = grads[i];
    });
    return out;
  });
}
const wl = (_tf, run) => {
  let last = null;
  return {
    step() {
      if (last) dropAll(last);
      last = run();
    },
    async sync() {
      await Object.values(last)[Object.values(last).length - 1].data();
    },
    outputs: () => read(last),
  };
};
const matrixProduct = (tf, { A, B }) => {
  const [a, b] = [T(tf, A), T(tf, B)];
  return wl(tf, () => ({ C: tf.matMul(a, b) }));
};
export const workloads = {
  M128: matrixProduct,
  M512: matrixProduct,
  W1(tf, I, c) {
    const x = T(tf, I.x),
      W = T(tf, I.W),
      A = T(tf, I.A),
      B = T(tf, I.B),
      dy = T(tf, I.dy);
    return wl(tf, () =>
      fb(tf, ["A", "B", "x"], { A, B, x }, dy, (v) =>
        tf.add(
          tf.matMul(v.x, W, false, true),
          tf.mul(tf.matMul(tf.matMul(v.x, v.A, false, true), v.B, false, true), c.scale),
        ),
      ),
    );
  },
  W2n(tf, I, c) {
    const x = T(tf, I.x),
      W = T(tf, I.W),
      Q = T(tf, I.Q),
      dy = T(tf, I.dy),
      nb = c.d / c.bs,
      eye = tf.eye(c.bs);
    return wl(tf, () =>
      fb(tf, ["Q", "x"], { Q, x }, dy, (v) => {
        // Cayley by 5-term Neumann series as in PEFT: I + 2S + 2S^2 + 2S^3 + S^4
        const S = tf.mul(tf.sub(v.Q, tf.transpose(v.Q, [0, 2, 1])), 0.5),
          S2 = tf.matMul(S, S),
          S3 = tf.matMul(S2, S),
          S4 = tf.matMul(S3, S);
        const R = tf.add(tf.add(eye, tf.mul(tf.add(tf.add(S, S2), S3), 2)), S4);
        const xb = tf.transpose(tf.reshape(v.x, [c.N, nb, c.bs]), [1, 0, 2]);
        return tf.matMul(tf.reshape(tf.transpose(tf.matMul(xb, R), [1, 0, 2]), [c.N, c.d]), W, false, true);
      }),
    );
  },
  W3(tf, I, _c) {
    const x = T(tf, I.x),
      Wg = T(tf, I.Wg),
      Wu = T(tf, I.Wu),
      Wd = T(tf, I.Wd),
      l = T(tf, I.l),
      dy = T(tf, I.dy);
    return wl(tf, () =>
      fb(tf, ["l", "x"], { l, x }, dy, (v) => {
        const g = tf.matMul(v.x, Wg, false, true),
          u = tf.matMul(v.x, Wu, false, true);
        return tf.matMul(tf.mul(tf.mul(tf.mul(g, tf.sigmoid(g)), u), v.l), Wd, false, true);
      }),
    );
  },
  W4(tf, I, c) {
    const P = {};
    for (const k in I.base) P[k] = T(tf, I.base[k]);
    const names = Object.keys(I.lora),
      V = {},
      m1 = {},
      m2 = {};
    for (const k of names) {
      V[k] = T(tf, I.lora[k]);
      m1[k] = tf.zeros(I.lora[k].shape);
      m2[k] = tf.zeros(I.lora[k].shape);
    }
    const ids = tf.tensor1d(I.ids, "int32"),
      onehot = tf.mul(tf.oneHot(tf.tensor1d(I.tgt, "int32"), c.V), tf.tensor2d(I.counted, [c.B * c.T, 1])),
      cos = T(tf, I.cos),
      sin = T(tf, I.sin),
      mask = T(tf, I.mask);
    const { B, T: S, H, d } = c,
      hd = d / H;
    let t = 0,
      loss = null;
    const mm = (a, w) => tf.matMul(a, w, false, true);
    const rms = (x, w) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), c.rmsEps))), w);
    const heads = (x) => tf.transpose(tf.reshape(x, [B, S, H, hd]), [0, 2, 1, 3]);
    const rot = (x) => {
      const [a, b] = tf.split(x, 2, 3);
      return tf.concat([tf.neg(b), a], 3);
    };
    const rope = (x) => tf.add(tf.mul(x, cos), tf.mul(rot(x), sin));
    const lossFn = (...v) => {
      const L = Object.fromEntries(names.map((n, i) => [n, v[i]]));
      const lo = (h, k, i) => tf.add(mm(h, P[k + i]), tf.mul(mm(mm(h, L[`A${k}${i}`]), L[`B${k}${i}`]), c.scale));
      let x = tf.gather(P.emb, ids);
      for (let i = 0; i < c.L; i++) {
        const h = rms(x, P[`n1${i}`]);
        const q = rope(heads(lo(h, "q", i))),
          k = rope(heads(mm(h, P[`k${i}`]))),
          v2 = heads(lo(h, "v", i));
        const a = tf.softmax(tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(hd)), mask));
        x = tf.add(x, mm(tf.reshape(tf.transpose(tf.matMul(a, v2), [0, 2, 1, 3]), [B * S, d]), P[`o${i}`]));
        const h2 = rms(x, P[`n2${i}`]),
          g = mm(h2, P[`g${i}`]);
        x = tf.add(x, mm(tf.mul(tf.mul(g, tf.sigmoid(g)), mm(h2, P[`u${i}`])), P[`w${i}`]));
      }
      const lp = tf.logSoftmax(mm(rms(x, P.nf), P.head));
      return tf.neg(tf.div(tf.sum(tf.mul(lp, onehot)), B * (S - 1)));
    };
    const vg = tf.valueAndGrads(lossFn);
    return {
      step() {
        t++;
        const bc1 = 1 - c.b1 ** t,
          bc2 = 1 - c.b2 ** t;
        const r = tf.tidy(() => {
          const { value, grads } = vg(names.map((n) => V[n]));
          const o = [value];
          names.forEach((n, i) => {
            const a = tf.add(tf.mul(m1[n], c.b1), tf.mul(grads[i], 1 - c.b1)),
              b = tf.add(tf.mul(m2[n], c.b2), tf.mul(tf.square(grads[i]), 1 - c.b2));
            o.push(
              tf.sub(
                tf.mul(V[n], 1 - c.lr * c.wd),
                tf.mul(tf.div(tf.div(a, bc1), tf.add(tf.sqrt(tf.div(b, bc2)), c.eps)), c.lr),
              ),
              a,
              b,
            );
          });
          return o;
        });
        loss?.dispose();
        loss = r[0];
        names.forEach((n, i) => {
          V[n].dispose();
          m1[n].dispose();
          m2[n].dispose();
          [V[n], m1[n], m2[n]] = r.slice(1 + 3 * i, 4 + 3 * i);
        });
      },
      async sync() {
        await V[names.at(-1)].data();
      },
      async outputs() {
        return read({ loss, ...V });
      },
    };
  },
};
