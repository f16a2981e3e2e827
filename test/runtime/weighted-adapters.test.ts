/** Weighted combinations of adapters against their formulas. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type CombineOptions,
  type CombineSource,
  compile,
  loadModel,
  registry,
  type Session,
} from "../../src/index.ts";
import { combinedEntries } from "../../src/methods/combine/operators.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { largestDifference } from "./differences.ts";

const ids = Int32Array.from({ length: 8 }, (_unused, i) => (i * 5 + 3) % 64);
const sizes = { mode: "infer", batch: 1, length: 8 } as const;
const model = () => loadModel(join("test/fixtures/golden", "bases/llama"));
const key = "model.layers.0.self_attn.q_proj.weight";

async function start(config: object, seed: number): Promise<Session> {
  return (await compile(await model(), config, sizes)).start({ device: "cpu", seed });
}
const lora = (r: number, fields: object = {}) => ({
  peft_type: "LORA",
  target_modules: ["q_proj", "embed_tokens"],
  r,
  lora_alpha: 3,
  init_lora_weights: false,
  ...fields,
});

/** A session with adapters `default`, `one`, ... of these configs. */
async function withAdapters(...configs: object[]): Promise<Session> {
  const session = await start(configs[0]!, 1);
  for (const [i, config] of configs.slice(1).entries()) {
    const other = await start(config, i + 2);
    await session.load(["one", "two"][i]!, Object.fromEntries(await other.files()));
    other.dispose();
  }
  return session;
}

/** W' - W of one layer with an adapter. */
async function delta(session: Session, name: string): Promise<Float64Array> {
  await session.use(name);
  const [merged, base] = [await (await session.merge()).weights.read(key), await (await model()).weights.read(key)];
  const before = toFloat32(base);
  return Float64Array.from(toFloat32(merged), (x, i) => x - before[i]!);
}
const weighted = (deltas: readonly Float64Array[], weights: readonly number[]): Float64Array =>
  deltas[0]!.map((_x, i) => deltas.reduce((sum, d, k) => sum + weights[k]! * d[i]!, 0));

async function combined(session: Session, weights: number[], options: CombineOptions, names = ["default", "one"]) {
  const name = JSON.stringify([weights, options, names]);
  await session.addWeighted(names, weights, name, options);
  return delta(session, name);
}

describe("combinations of LoRA", () => {
  it("cat adds up the deltas whatever the ranks, and of one adapter with weight 1 is the adapter", async () => {
    const session = await withAdapters(lora(4), lora(2, { use_rslora: true, rank_pattern: { q_proj: 3 } }));
    const parts = [await delta(session, "default"), await delta(session, "one")];
    const wanted = weighted(parts, [0.5, -1.5]);
    expect(largestDifference(await combined(session, [0.5, -1.5], { combination: "cat" }), wanted)).toBeLessThan(1e-5);
    expect(session.program.adapter!.savedConfig).toMatchObject({ r: 7, lora_alpha: 7, use_rslora: false });
    expect(largestDifference(await combined(session, [1], { combination: "cat" }, ["one"]), parts[1]!)).toBeLessThan(
      1e-5,
    );
    const logits = async () => (await session.forward({ input_ids: ids })).logits;
    const [copy] = [await logits(), await session.use("one")];
    expect(largestDifference(copy, await logits())).toBeLessThan(1e-5);
    session.dispose();
  });

  it("svd of the full rank is cat; of a smaller one the best approximation", async () => {
    const session = await withAdapters(lora(3), lora(2));
    const cat = await combined(session, [1, 2], { combination: "cat" });
    expect(largestDifference(await combined(session, [1, 2], { rank: 5 }), cat)).toBeLessThan(1e-5);
    const cut = await combined(session, [1, 2], {});
    expect(session.program.adapter!.savedConfig).toMatchObject({ r: 3 });
    const norm = (x: Float64Array) => Math.hypot(...x);
    const left = norm(weighted([cut, cat], [1, -1])) / norm(cat);
    expect(left).toBeGreaterThan(0.01);
    expect(left).toBeLessThan(0.8);
    session.dispose();
  });

  it("linear adds up the factors by square roots, with the signs in A", async () => {
    const session = await withAdapters(lora(2), lora(2, { use_rslora: true }));
    const tensors = async (name: string) => {
      await session.use(name);
      const found = await session.adapterTensors();
      return (end: string) => toFloat32(found.get(`base_model.model.model.layers.0.self_attn.q_proj.${end}`)!);
    };
    const [first, second] = [await tensors("default"), await tensors("one")];
    await session.addWeighted(["default", "one"], [2, -0.5], "sum", { combination: "linear" });
    const sum = await tensors("sum");
    const roots = [Math.sqrt(2 * 1.5), Math.sqrt((0.5 * 3) / Math.SQRT2)] as const;
    const [a, b] = ["lora_A.weight", "lora_B.weight"] as const;
    const wantedA = first(a).map((x, i) => roots[0] * x - roots[1] * second(a)[i]!);
    const wantedB = first(b).map((x, i) => roots[0] * x + roots[1] * second(b)[i]!);
    expect(largestDifference(sum(a), wantedA)).toBeLessThan(1e-6);
    expect(largestDifference(sum(b), wantedB)).toBeLessThan(1e-6);
    session.dispose();
  });

  it("ties, dare and magnitude_prune with nothing pruned are what they are without", async () => {
    const session = await withAdapters(lora(2), lora(2));
    const all = { density: 1 };
    const linear = await combined(session, [1, 0.5], { combination: "linear" });
    for (const combination of ["dare_linear", "magnitude_prune"] as const)
      expect(await combined(session, [1, 0.5], { combination, ...all })).toEqual(linear);
    const ties = await combined(session, [1, 0.5], { combination: "ties", ...all });
    expect(await combined(session, [1, 0.5], { combination: "dare_ties", ...all })).toEqual(ties);
    expect(largestDifference(ties, linear)).toBeGreaterThan(0.05);
    const svd = await combined(session, [1, 0.5], { combination: "svd" });
    expect(await combined(session, [1, 0.5], { combination: "dare_linear_svd", ...all })).toEqual(svd);
    const half = { combination: "dare_ties_svd", density: 0.5 } as const;
    const drawn = await combined(session, [1, 0.5], { ...half, seed: 1 });
    expect(largestDifference(await combined(session, [1, 0.5], { ...half, seed: 2 }), drawn)).toBeGreaterThan(0.05);
    session.dispose();
  });

  it("refuse what they cannot hold", async () => {
    const session = await withAdapters(lora(2), lora(3), { peft_type: "OFT", target_modules: ["q_proj"], r: 4 });
    const add = (names: string[], weights: number[], options: CombineOptions = {}, name = "new") =>
      session.addWeighted(names, weights, name, options);
    const refused = async (made: Promise<void>, code: string) => expect(made).rejects.toMatchObject({ code });
    await refused(add(["default", "nobody"], [1, 1]), "SESSION-ADAPTER-UNKNOWN");
    await refused(add(["default", "one"], [1, 1], {}, "one"), "SESSION-ADAPTER-NAME");
    await refused(add(["default", "two"], [1, 1]), "SESSION-COMBINE");
    await refused(add(["default", "one"], [1, 1], { combination: "linear" }), "SESSION-COMBINE");
    for (const options of [
      { combination: "ties" },
      { rank: 0 },
      { clamp: 2 },
      { combination: "zzz" },
    ] as CombineOptions[])
      await refused(add(["default", "one"], [1, 1], options), "SESSION-COMBINE-OPTION");
    await refused(add(["default", "one"], [1]), "SESSION-COMBINE-OPTION");
    await refused(add([], []), "SESSION-COMBINE-OPTION");
    const dora = await withAdapters(lora(2, { target_modules: ["q_proj"], use_dora: true }));
    await refused(dora.addWeighted(["default"], [1], "new"), "SESSION-COMBINE");
    expect(session.adapterNames).toEqual(["default", "one", "two"]);
    for (const one of [session, dora]) one.dispose();
  });
});

it("IA3 adds up vectors over the modules of all", async () => {
  const ia3 = (targets: string[]) => ({
    peft_type: "IA3",
    target_modules: targets,
    feedforward_modules: ["down_proj"].filter((name) => targets.includes(name)),
    init_ia3_weights: false,
  });
  const session = await withAdapters(ia3(["q_proj", "down_proj"]), ia3(["q_proj", "k_proj"]));
  const tensors = async (name: string) => {
    await session.use(name);
    return session.adapterTensors();
  };
  const [first, second] = [await tensors("default"), await tensors("one")];
  await session.addWeighted(["default", "one"], [2, -1], "sum");
  const sum = await tensors("sum");
  expect([...sum.keys()].sort()).toEqual([...new Set([...first.keys(), ...second.keys()])].sort());
  for (const [name, tensor] of sum) {
    const parts = [first, second].map((from) => from.get(name)).map((part) => part && toFloat32(part));
    const wanted = toFloat32(tensor).map((_x, i) => 2 * (parts[0]?.[i] ?? 0) - (parts[1]?.[i] ?? 0));
    expect(largestDifference(toFloat32(tensor), wanted)).toBeLessThan(1e-6);
  }
  session.dispose();
});

describe("combinations of methods of one's own", () => {
  const text = (name: string) => `method ${name} on linear {
  W' = W + shift;
  param shift[out, in] = normal(0, 1) at "shift";
}`;
  /** The largest number of every place, times the sum of the weights. */
  const combine = (sources: readonly CombineSource[]) => {
    const total = sources.reduce((sum, { weight }) => sum + weight, 0);
    const largest = (key: string) => (_x: number, i: number) =>
      total * Math.max(...sources.map(({ tensors }) => tensors.get(key)!.data[i]!));
    const tensors = [...sources[0]!.tensors].map(
      ([key, { shape, data }]) => [key, { shape, data: data.map(largest(key)) }] as const,
    );
    return { config: sources[0]!.config, tensors: new Map(tensors) };
  };
  const own = { text: text("shifted"), combine };

  /** A session of one method's adapters `default` and `one`. */
  async function shifted(peft_type: string, methods: ReturnType<typeof registry>): Promise<Session> {
    const config = { peft_type, target_modules: ["q_proj"] };
    const start = async (seed: number) =>
      (await compile(await model(), config, { ...sizes, methods })).start({ device: "cpu", seed });
    const [session, other] = [await start(1), await start(2)];
    await session.load("one", Object.fromEntries(await other.files()));
    other.dispose();
    return session;
  }

  it.each([
    ["SHIFTED", own],
    ["LORA", { text: text("lora"), combine }],
  ])("%s does what its record says", async (type, method) => {
    const session = await shifted(type, registry(method));
    const parts = [await delta(session, "default"), await delta(session, "one")];
    const wanted = parts[0]!.map((x, i) => 3 * Math.max(x, parts[1]![i]!));
    expect(largestDifference(await combined(session, [1, 2], {}), wanted)).toBeLessThan(1e-5);
    expect(session.program.adapter!.savedConfig).toMatchObject({ peft_type: type, webpeft_method: method.text });
    session.dispose();
  });

  it.each([
    ["PLAIN", "SHIFTED"],
    ["LORA", "SHIFTED"],
  ])("%s is refused where its record says nothing", async (type, other) => {
    const session = await shifted(type, registry(text(type.toLowerCase()), own));
    const refusal = session.addWeighted(["default", "one"], [1, 2], "new").catch(({ diagnostics }) => diagnostics[0]);
    const { code, got, expected } = await refusal;
    expect({ code, got }).toEqual({ code: "SESSION-COMBINE", got: type });
    expect(expected.replace("adapters that are all ", "").split(" or all ")).toContain(other);
    expect(expected).not.toContain(type === "LORA" ? "all LORA" : type);
    session.dispose();
  });
});

describe("the rules on entries", () => {
  const [x, y] = [Float64Array.of(4, -1, 2, 0.5), Float64Array.of(-3, -2, 0.1, 1)];
  const run = (rule: object, density: number, majoritySign: "total" | "frequency" = "total") => [
    ...combinedEntries([x, y], [1, 10], rule, { density, majoritySign, seed: 3 }, 0),
  ];

  it("keep the largest", () => expect(run({ prune: "magnitude" }, 0.5)).toEqual([-26, -20, 2, 0]));
  it("sum over the elected sign", () => {
    expect(run({ elect: true }, 1)).toEqual([4, -10.5, 1.5, 5.25]);
    expect(run({ elect: true, prune: "magnitude" }, 0.5)).toEqual([4, -20, 2, 0]);
    // Signs of the first entry are one each: the sum 0 counts as positive.
    expect(run({ elect: true }, 1, "frequency")).toEqual([4, -10.5, 1.5, 5.25]);
  });
  it("drop at random and make up for it", () => {
    const ones = new Float64Array(4000).fill(1);
    const kept = combinedEntries(
      [ones],
      [1],
      { prune: "random" },
      { density: 0.25, majoritySign: "total", seed: 1 },
      0,
    );
    expect(new Set(kept)).toEqual(new Set([0, 4]));
    expect(kept.reduce((a, b) => a + b) / 4000).toBeCloseTo(1, 1);
  });
});
