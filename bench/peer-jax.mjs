// jax-js peer. Arrays are reference counted: every use consumes one reference, `.ref` adds one.
export const name = "jax-js";
export async function load(dev) {
  const jax = await import("@jax-js/jax");
  const have = await jax.init(dev);
  if (!have.includes(dev)) throw new Error(`no ${dev}`);
  jax.defaultDevice(dev);
  return jax;
}
const A_ = (jax, t) => jax.numpy.array(t.data).reshape(t.shape);
const T2 = (np, w) => np.swapaxes(w, -1, -2);
const disp = (o) => {
  for (const k in o) o[k].dispose();
};
const read = async (o) => {
  const r = {};
  for (const k in o) r[k] = new Float32Array(await o[k].ref.data());
  return r;
};
function fb(jax, names, consts, vars, f, jit = true) {
  // consts include dy; f(v, k) must consume each entry of v and k exactly once
  const g = (jit ? jax.jit : (h) => h)((v, k) => {
    const { dy, ...rest } = k;
    const [[loss, y], gr] = jax.valueAndGrad(
      (v, rest, dy) => {
        const y = f(v, rest);
        return [y.ref.mul(dy).sum(), y];
      },
      { hasAux: true },
    )(v, rest, dy);
    loss.dispose();
    return { y, g: gr };
  });
  let last = null;
  return {
    step() {
      if (last) disp(last);
      const r = g(jax.tree.ref(vars), jax.tree.ref(consts));
      last = { y: r.y };
      for (const n of names) last[`d${n}`] = r.g[n];
    },
    async sync() {
      await jax.blockUntilReady(last);
    },
    outputs: () => read(last),
  };
}
function matrixProduct(jax, { A, B }) {
  const [a, b] = [A_(jax, A), A_(jax, B)];
  const product = jax.jit((x, y) => jax.numpy.matmul(x, y));
  let last = null;
  return {
    step() {
      if (last) disp(last);
      last = { C: product(a.ref, b.ref) };
    },
    async sync() {
      await last.C.ref.data();
    },
    outputs: () => read(last),
  };
}
export const workloads = {
  M128: matrixProduct,
  M512: matrixProduct,
  W1(jax, I, c) {
    const np = jax.numpy,
      a = (k) => A_(jax, I[k]);
    return fb(jax, ["A", "B", "x"], { W: a("W"), dy: a("dy") }, { A: a("A"), B: a("B"), x: a("x") }, (v, k) =>
      np.matmul(v.x.ref, T2(np, k.W)).add(np.matmul(np.matmul(v.x, T2(np, v.A)), T2(np, v.B)).mul(c.scale)),
    );
  },
  W2n(jax, I, c) {
    const np = jax.numpy,
      a = (k) => A_(jax, I[k]),
      nb = c.d / c.bs;
    return fb(jax, ["Q", "x"], { W: a("W"), dy: a("dy"), eye: np.eye(c.bs) }, { Q: a("Q"), x: a("x") }, (v, k) => {
      const S = v.Q.ref.sub(T2(np, v.Q)).mul(0.5),
        S2 = np.matmul(S.ref, S.ref),
        S3 = np.matmul(S2.ref, S.ref),
        S4 = np.matmul(S3.ref, S.ref);
      const R = k.eye.add(S.add(S2).add(S3).mul(2)).add(S4);
      const xb = np.transpose(v.x.reshape([c.N, nb, c.bs]), [1, 0, 2]);
      return np.matmul(np.transpose(np.matmul(xb, R), [1, 0, 2]).reshape([c.N, c.d]), T2(np, k.W));
    });
  },
  W2s(jax, I, c) {
    const np = jax.numpy,
      a = (k) => A_(jax, I[k]),
      nb = c.d / c.bs; // exact Cayley R = (I - S)^-1 (I + S) by linear solve; eager: jit of this fails in 0.1.25 ("routine primitive triangular_solve input is not imm")
    return fb(
      jax,
      ["Q", "x"],
      { W: a("W"), dy: a("dy"), eye: np.broadcastTo(np.eye(c.bs), [nb, c.bs, c.bs]) },
      { Q: a("Q"), x: a("x") },
      (v, k) => {
        const S = v.Q.ref.sub(T2(np, v.Q)).mul(0.5);
        const R = np.linalg.solve(k.eye.ref.sub(S.ref), k.eye.add(S));
        const xb = np.transpose(v.x.reshape([c.N, nb, c.bs]), [1, 0, 2]);
        return np.matmul(np.transpose(np.matmul(xb, R), [1, 0, 2]).reshape([c.N, c.d]), T2(np, k.W));
      },
      false,
    );
  },
  W3(jax, I, _c) {
    const np = jax.numpy,
      a = (k) => A_(jax, I[k]);
    return fb(
      jax,
      ["l", "x"],
      { Wg: a("Wg"), Wu: a("Wu"), Wd: a("Wd"), dy: a("dy") },
      { l: a("l"), x: a("x") },
      (v, k) => {
        const g = np.matmul(v.x.ref, T2(np, k.Wg)),
          u = np.matmul(v.x, T2(np, k.Wu));
        return np.matmul(g.ref.mul(jax.nn.sigmoid(g)).mul(u).mul(v.l), T2(np, k.Wd));
      },
    );
  },
  W4(jax, I, c) {
    const np = jax.numpy,
      { B, T: S, H, d } = c,
      hd = d / H,
      names = Object.keys(I.lora);
    const P = {};
    for (const k in I.base) P[k] = A_(jax, I.base[k]);
    P.ids = np.array(I.ids);
    P.onehot = jax.nn.oneHot(np.array(I.tgt), c.V).mul(np.array(I.counted).reshape([B * S, 1]));
    P.cos = A_(jax, I.cos);
    P.sin = A_(jax, I.sin);
    P.mask = A_(jax, I.mask);
    let st = { V: {}, m1: {}, m2: {} },
      t = 0,
      loss = null;
    for (const k of names) {
      st.V[k] = A_(jax, I.lora[k]);
      st.m1[k] = np.zeros(I.lora[k].shape);
      st.m2[k] = np.zeros(I.lora[k].shape);
    }
    const mm = (a, w) => np.matmul(a, T2(np, w));
    const rms = (x, w) => {
      const s = jax.numpy.reciprocal(np.sqrt(np.mean(np.square(x.ref), -1, { keepdims: true }).add(c.rmsEps)));
      return x.mul(s).mul(w);
    };
    const heads = (x) => np.transpose(x.reshape([B, S, H, hd]), [0, 2, 1, 3]);
    const rot = (x) => {
      const [a, b] = np.split(x, 2, 3);
      return np.concatenate([b.mul(-1), a], 3);
    };
    const rope = (x, p) => x.ref.mul(p.cos.ref).add(rot(x).mul(p.sin.ref));
    const lossFn = (L, p) => {
      // p entries used through .ref, released at the end
      const lo = (h, k, i) => mm(h.ref, p[k + i].ref).add(mm(mm(h, L[`A${k}${i}`]), L[`B${k}${i}`]).mul(c.scale));
      let x = np.take(p.emb.ref, p.ids.ref, 0);
      for (let i = 0; i < c.L; i++) {
        const h = rms(x.ref, p[`n1${i}`].ref);
        const q = rope(heads(lo(h.ref, "q", i)), p),
          k = rope(heads(mm(h.ref, p[`k${i}`].ref)), p),
          v = heads(lo(h, "v", i));
        const a = jax.nn.softmax(
          np
            .matmul(q, T2(np, k))
            .mul(1 / Math.sqrt(hd))
            .add(p.mask.ref),
          -1,
        );
        x = x.add(mm(np.transpose(np.matmul(a, v), [0, 2, 1, 3]).reshape([B * S, d]), p[`o${i}`].ref));
        const h2 = rms(x.ref, p[`n2${i}`].ref),
          g = mm(h2.ref, p[`g${i}`].ref),
          u = mm(h2, p[`u${i}`].ref);
        x = x.add(mm(g.ref.mul(jax.nn.sigmoid(g)).mul(u), p[`w${i}`].ref));
      }
      const lp = jax.nn.logSoftmax(mm(rms(x, p.nf.ref), p.head.ref), -1);
      const l = lp
        .mul(p.onehot.ref)
        .sum()
        .mul(-1 / (B * (S - 1)));
      disp(p);
      return l;
    };
    const train = jax.jit((st, p, lrs) => {
      // lrs = [bias correction 1, bias correction 2]
      const [l, g] = jax.valueAndGrad(lossFn)(jax.tree.ref(st.V), p);
      const V = {},
        m1 = {},
        m2 = {};
      const c1 = lrs.ref.slice(0),
        c2 = lrs.slice(1);
      for (const n of names) {
        m1[n] = st.m1[n].mul(c.b1).add(g[n].ref.mul(1 - c.b1));
        m2[n] = st.m2[n].mul(c.b2).add(np.square(g[n]).mul(1 - c.b2));
        V[n] = st.V[n].mul(1 - c.lr * c.wd).sub(
          m1[n].ref
            .div(c1.ref)
            .div(np.sqrt(m2[n].ref.div(c2.ref)).add(c.eps))
            .mul(c.lr),
        );
      }
      c1.dispose();
      c2.dispose();
      return { l, st: { V, m1, m2 } };
    });
    return {
      step() {
        t++;
        const r = train(st, jax.tree.ref(P), np.array(new Float32Array([1 - c.b1 ** t, 1 - c.b2 ** t])));
        loss?.dispose();
        loss = r.l;
        st = r.st;
      },
      async sync() {
        await jax.blockUntilReady([loss, st.V]);
      },
      async outputs() {
        return read({ loss, ...st.V });
      },
    };
  },
};
