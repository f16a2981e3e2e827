/** Several adapters in use together: deltas add up, rotations multiply, and some can be merged while others stay. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compile, loadModel, type Model, registry, type Session, type SessionBatch } from "../../src/index.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { loadCase } from "../golden/helpers.ts";
import { largestDifference } from "./differences.ts";

const ids = Int32Array.from({ length: 8 }, (_unused, i) => (i * 5 + 3) % 64);
const batch = { input_ids: ids, labels: ids };
const model = () => loadModel(join("test/fixtures/golden", "bases/llama"));
const key = "model.layers.0.self_attn.q_proj.weight";
const width = 32;

async function start(config: object | null, seed = 0, from?: Model, mode: "train" | "infer" = "infer") {
  const program = await compile(from ?? (await model()), config, { batch: 1, length: 8, mode });
  return program.start({ device: "cpu", seed });
}
const lora = (r: number, targets = ["q_proj"]) => ({
  peft_type: "LORA",
  target_modules: targets,
  r,
  init_lora_weights: false,
});
const oft = {
  peft_type: "OFT",
  target_modules: ["q_proj"],
  oft_block_size: 8,
  init_weights: false,
  use_cayley_neumann: false,
};

/** A session with adapters a, b ... of these configs, beside `default`, which is in use. */
async function withAdapters(configs: readonly object[], mode: "train" | "infer" = "infer"): Promise<Session> {
  const session = await start(lora(1, ["up_proj"]), 9, undefined, mode);
  for (const [i, config] of configs.entries()) {
    const other = await start(config, i + 1);
    await session.load("abc"[i]!, Object.fromEntries(await other.files()));
    other.dispose();
  }
  return session;
}
const logits = async (session: Session): Promise<Float32Array> => (await session.forward(batch)).logits;
const weight = async (from: Model): Promise<Float64Array> => Float64Array.from(toFloat32(await from.weights.read(key)));
const merged = async (session: Session, choice: string | string[]): Promise<Float64Array> =>
  weight(await session.merge(undefined, {}, choice));

describe("adapters in use together", () => {
  it("add up, in any order, forward and merged", async () => {
    const session = await withAdapters([lora(2), lora(3, ["q_proj", "v_proj"]), { ...lora(2), use_dora: true }]);
    const base = await weight(await model());
    const [a, b, c] = [await merged(session, "a"), await merged(session, "b"), await merged(session, "c")];
    const sum = base.map((x, i) => a[i]! + b[i]! + c[i]! - 2 * x);
    expect(largestDifference(await merged(session, ["a", "b", "c"]), sum)).toBeLessThan(1e-6);
    await session.use(["a", "b", "c"]);
    const forward = await logits(session);
    await session.use(["c", "a", "b"]);
    expect(largestDifference(await logits(session), forward)).toBeLessThan(1e-5);
    const plain = await start(null, 0, await session.merge());
    expect(largestDifference(await logits(plain), forward)).toBeLessThan(1e-4);
    await session.use("a");
    expect(largestDifference(await logits(session), forward)).toBeGreaterThan(1e-2);
    for (const one of [session, plain]) one.dispose();
  });

  it("rotate inputs in their order", async () => {
    const session = await withAdapters([oft, oft]);
    const base = await weight(await model());
    const [a, b] = [await merged(session, "a"), await merged(session, "b")];
    // x D_a D_b W^T is what they compute together: W_a = W D_a^T and W_ab = W D_b^T D_a^T.
    const both = await merged(session, ["a", "b"]);
    const turned = await merged(session, ["b", "a"]);
    expect(largestDifference(both, turned)).toBeGreaterThan(1e-3);
    const gram = (x: Float64Array, y: Float64Array) => product(x, transpose(y));
    // Rotations keep inner products of rows, and W_ab W_a^T = W D_b^T W^T = W_b W^T, which the other order does not fulfil.
    expect(largestDifference(gram(both, a), gram(b, base))).toBeLessThan(1e-4);
    expect(largestDifference(gram(turned, a), gram(b, base))).toBeGreaterThan(1e-3);
    session.dispose();
  });

  it("train other tokens each", async () => {
    const tokens = (...token_indices: number[]) => ({
      peft_type: "TRAINABLE_TOKENS",
      token_indices,
      init_weights: false,
    });
    const inLora = { ...lora(2), trainable_token_indices: [7, 9] };
    const session = await withAdapters([tokens(3, 9), tokens(4, 7), inLora]);
    const alone = await logits(session);
    await session.use(["a", "b"]);
    expect(largestDifference(await logits(session), alone)).toBeGreaterThan(1e-4);
    const overlap = (row: number) => ({
      code: "COMPILE-ACTIVE",
      message: `two adapters train the rows of tokens ${row}; only disjoint token indices can be used together`,
      diagnostics: [{ where: "model.embed_tokens" }],
    });
    await expect(session.use(["a", "c"])).rejects.toMatchObject(overlap(9));
    await expect(session.merge(undefined, {}, ["c", "b"])).rejects.toMatchObject(overlap(7));
    session.dispose();
  });

  it("are merged for the numbers that each of them is given", async () => {
    const text = (name: string): string => `method ${name} on linear {
      given ${name}_strength[1];
      param A[out, in] = normal(0, 1) at "${name}_A";
      W' = W + (merging ? sum(${name}_strength, [0]) : 1) * matrix(A);
    }`;
    const base = await model();
    const options = { methods: registry(text("first"), text("second")), batch: 1, length: 8, mode: "infer" } as const;
    const one = async (peft_type: string, seed: number): Promise<Session> =>
      (await compile(base, { peft_type, target_modules: ["q_proj"] }, options)).start({ device: "cpu", seed });
    const [session, other] = [await one("FIRST", 1), await one("SECOND", 2)];
    await session.load("second", Object.fromEntries(await other.files()));
    const mergedFor = async (first: number, second: number): Promise<Float64Array> => {
      const strengths = { first_strength: [first], second_strength: [second] };
      return weight(await session.merge(undefined, strengths, ["default", "second"]));
    };
    const [plain, a, b] = [await mergedFor(0, 0), await mergedFor(1, 0), await mergedFor(0, 1)];
    const sum = plain.map((x, i) => 2 * a[i]! + 3 * b[i]! - 4 * x);
    expect(largestDifference(await mergedFor(2, 3), sum)).toBeLessThan(1e-5);
    expect(largestDifference(a, plain)).toBeGreaterThan(0.1);
    await expect(session.merge(undefined, { first_strength: [1] }, ["default", "second"])).rejects.toMatchObject({
      code: "MERGE-OPTION",
      where: "second_strength",
    });
    for (const used of [session, other]) used.dispose();
  });

  it("let some be merged while others stay", async () => {
    const session = await withAdapters([lora(2), oft]);
    await session.use(["a", "b"]);
    const wanted = await logits(session);
    await session.use("a");
    const rest = Object.fromEntries(await session.files());
    const partly = await session.merge(undefined, {}, "b");
    const program = await compile(partly, lora(2), { batch: 1, length: 8, mode: "infer", loaded: true });
    const kept = await program.start({ device: "cpu" });
    await kept.load("a", rest);
    await kept.use("a");
    // LoRA adds to what the rotation left, so the order does not matter here.
    await session.use(["b", "a"]);
    expect(largestDifference(await logits(kept), await logits(session))).toBeLessThan(1e-4);
    expect(largestDifference(await logits(session), wanted)).toBeGreaterThan(1e-4);
    for (const one of [session, kept]) one.dispose();
  });

  it("follow what their parts train, and are forgotten with them", async () => {
    const session = await withAdapters([lora(2), lora(3)], "train");
    await session.use(["a", "b"]);
    const before = await logits(session);
    await session.use("a");
    await session.step(batch, { lr: 0.05 });
    await session.use(["a", "b"]);
    const after = await logits(session);
    expect(largestDifference(after, before)).toBeGreaterThan(1e-2);
    await expect(session.step(batch)).rejects.toMatchObject({ code: "SESSION-MODE" });
    await expect(session.files()).rejects.toMatchObject({ code: "SESSION-MODE" });
    await session.delete("b");
    await session.use("default");
    await expect(async () => session.use(["a", "b"])).rejects.toMatchObject({ code: "SESSION-ADAPTER-UNKNOWN" });
    session.dispose();
  });

  it("refuse empty lists, names that repeat, and adapters that replace each other", async () => {
    const norms = { peft_type: "LN_TUNING", target_modules: ["input_layernorm"] };
    const session = await withAdapters([norms, norms]);
    const before = await logits(session);
    for (const names of [[], ["a", "a"], ["a", "x"]])
      expect(() => session.use(names)).toThrow(expect.objectContaining({ code: "SESSION-ADAPTER-UNKNOWN" }) as Error);
    await expect(session.use(["a", "b"])).rejects.toMatchObject({ code: "COMPILE-ACTIVE" });
    expect(await logits(session)).toEqual(before);
    session.dispose();
  });

  it.each([
    ["llama-xlora-depth1", "a method that reads hidden states cannot be used together with another adapter"],
    ["llama-p-tuning", "virtual tokens cannot be used together with another adapter"],
  ])("refuse %s, which then runs alone as before", async (name, message) => {
    const { model: base, adapter, inputs, expected } = await loadCase(name);
    const [samples, length] = [2, inputs.input_ids!.length / 2];
    const program = await compile(base, lora(1, ["up_proj"]), { batch: samples, length, mask: true, mode: "infer" });
    for (const encoder of [adapter.encoder, undefined]) {
      const session = await program.start({ device: "cpu" });
      const { encoder: _encoder, ...rest } = adapter;
      await session.load("a", encoder === undefined ? rest : { ...rest, encoder });
      await expect(session.use(["default", "a"])).rejects.toMatchObject({ code: "COMPILE-ACTIVE", message });
      await session.use("a");
      const alone = (await session.forward(inputs as unknown as SessionBatch)).logits;
      expect(largestDifference(alone, expected.logits as Float32Array)).toBeLessThan(1e-4);
      session.dispose();
    }
  });
});

const transpose = (x: Float64Array): Float64Array =>
  x.map((_x, i) => x[(i % width) * (x.length / width) + Math.floor(i / width)]!);

/** x y of square matrices. */
function product(x: Float64Array, y: Float64Array): Float64Array {
  return x.map((_x, at) => {
    const [i, j] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += x[i * width + k]! * y[k * width + j]!;
    return sum;
  });
}
