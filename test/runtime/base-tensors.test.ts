/** Tensors of the base in an adapter's file: PEFT loads them over the base's own, so they are used, whatever is done with the adapter. */
import { describe, expect, it } from "vitest";
import { compile, readAdapter, type Session } from "../../src/index.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { part } from "../extent.ts";
import {
  batch,
  begin,
  lossOf,
  memory,
  moved,
  reloaded,
  smallLlama,
  smallWeights,
  type Tensors,
  tiedLlama,
  withTensors,
} from "../small-models.ts";

const inside = (path: string): string => `base_model.model.${path}`;
const [embedding, head, query] = ["model.embed_tokens", "lm_head", "model.layers.0.self_attn.q_proj"];
const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"], init_lora_weights: false };
const config = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const files = async (session: Session) => Object.fromEntries(await session.files());

/** The files of an adapter, with further tensors. */
async function adapterWith(base: Tensors, more: Tensors, settings: object = lora, baseConfig: object = smallLlama) {
  const session = await begin(await memory(baseConfig, base), settings);
  const made = await files(session);
  session.dispose();
  return withTensors(made, more);
}

describe("a tensor of the base in an adapter's file", () => {
  const weights = smallWeights(smallLlama);
  const other = (path: string) => moved(weights[`${path}.weight`]!);

  it.each([
    ["the embedding", embedding, embedding],
    ["a norm", "model.norm", "model.norm"],
    ["the layer that is adapted", query, `${query}.base_layer`],
  ])("takes its place: %s", async (_what, path, place) => {
    const changed = { ...weights, [`${path}.weight`]: other(path) };
    const adapter = await adapterWith(weights, { [`${inside(place)}.weight`]: other(path) });
    const plain = await adapterWith(weights, {});
    const wanted = await lossOf(await memory(smallLlama, changed), plain);
    const session = await begin(await memory(smallLlama, weights), adapter, { strict: true });
    expect((await session.forward(batch)).loss).toBe(wanted);
    expect(await files(session)).toEqual(adapter);
    const merged = await session.merge();
    expect(await lossOf(await reloaded(merged), null)).toBeCloseTo(wanted, 4);
    await session.step(batch, { lr: 0.01 });
    const { loss } = await session.forward(batch);
    expect(loss).not.toBeCloseTo(wanted, 3);
    expect(await lossOf(await memory(smallLlama, weights), await files(session))).toBe(loss);
    session.dispose();
  });

  it("is used in full where the base has half as many digits, and merged into what the base has", async () => {
    const half = smallWeights(smallLlama, 1, "BF16");
    const adapter = await adapterWith(half, { [`${inside(head)}.weight`]: other(head) });
    const exact = await lossOf(
      await memory(smallLlama, { ...half, [`${head}.weight`]: other(head) }),
      await adapterWith(half, {}),
    );
    const model = await memory(smallLlama, half);
    const session = await begin(model, adapter);
    expect((await session.forward(batch)).loss).toBe(exact);
    const merged = await (await session.merge()).weights.read(`${head}.weight`);
    expect(merged).toEqual(fromFloat32(toFloat32(other(head)), "BF16", merged.shape));
    session.dispose();
  });

  const dtypes = ["F32", "F16", "BF16"] as const;
  const pairs = dtypes.flatMap((own) => dtypes.map((held) => [held, own] as const));

  it.each(part(pairs, 2))(
    "is computed with as it is, %s on a base of %s, by programs of a config too",
    async (held, own) => {
      const base = smallWeights(smallLlama, 1, own);
      const tensor = fromFloat32(toFloat32(other(head)), held, other(head).shape);
      const adapter = await adapterWith(base, { [`${inside(head)}.weight`]: tensor });
      const exact = fromFloat32(toFloat32(tensor), "F32", tensor.shape);
      const plain = await adapterWith(base, {});
      const wanted = await lossOf(await memory(smallLlama, { ...base, [`${head}.weight`]: exact }), plain);
      const model = await memory(smallLlama, base);
      expect(await lossOf(model, adapter)).toBe(wanted);
      const { config: settings } = await readAdapter(adapter);
      const session = await (await compile(model, settings, { batch: 1, length: 7 })).start({ device: "cpu", adapter });
      expect((await session.forward(batch)).loss).toBe(wanted);
      expect((await session.step(batch, { lr: 0.01 })).loss).toBeCloseTo(wanted, 5);
      session.dispose();
    },
  );

  it("is of its adapter alone, beside others and together with them", async () => {
    const plain = await adapterWith(weights, {});
    const changed = await adapterWith(weights, { [`${inside(head)}.weight`]: other(head) });
    const third = await adapterWith(weights, { [`${inside(head)}.weight`]: moved(other(head)) });
    const session = await begin(await memory(smallLlama, weights), plain, { mode: "infer" });
    const loss = async () => (await session.forward(batch)).loss!;
    const first = await loss();
    await session.load("changed", changed);
    await session.load("third", third);
    await session.use("changed");
    const second = await loss();
    expect(second).not.toBeCloseTo(first, 3);
    await session.use("default");
    expect(await loss()).toBe(first);
    await session.use(["default", "changed"]);
    expect(await loss()).not.toBeCloseTo(second, 3);
    await expect(session.use(["changed", "third"])).rejects.toMatchObject({ code: "COMPILE-ACTIVE" });
    await session.use(null);
    expect(await loss()).toBe(await lossOf(await memory(smallLlama, weights), null));
    await expect(session.addWeighted(["changed"], [1], "new")).rejects.toMatchObject({ code: "SESSION-COMBINE" });
    session.dispose();
  });

  it("is refused with other rows, as integers, and where two for one tied tensor differ", async () => {
    const code = async (more: Tensors, base: Tensors, baseConfig: object) =>
      lossOf(await memory(baseConfig, base), await adapterWith(base, more, lora, baseConfig)).then(
        String,
        (e) => e.code,
      );
    const rows = fromFloat32(new Float32Array(23 * 12), "F32", [23, 12]);
    expect(await code({ [`${inside(head)}.weight`]: rows }, weights, smallLlama)).toBe("FILE-ADAPTER-SHAPE");
    const { shape } = other(head);
    const whole = { dtype: "I32" as const, shape, bytes: new Uint8Array(other(head).bytes.length) };
    expect(await code({ [`${inside(head)}.weight`]: whole }, weights, smallLlama)).toBe("FILE-ADAPTER-DTYPE");
    const tied = smallWeights(tiedLlama);
    const ends = { [`${inside(head)}.weight`]: other(head), [`${inside(embedding)}.weight`]: moved(other(head)) };
    expect(await code(ends, tied, tiedLlama)).toBe("FILE-ADAPTER-TIES");
  });

  it("is both ends of a tie, under either name", async () => {
    const tied = smallWeights(tiedLlama);
    const changed = moved(tied[`${embedding}.weight`]!);
    const plain = await adapterWith(tied, {}, lora, tiedLlama);
    const wanted = await lossOf(await memory(tiedLlama, { ...tied, [`${embedding}.weight`]: changed }), plain);
    for (const end of [embedding, head]) {
      const adapter = await adapterWith(tied, { [`${inside(end)}.weight`]: changed }, lora, tiedLlama);
      const session = await begin(await memory(tiedLlama, tied), adapter);
      expect((await session.forward(batch)).loss).toBe(wanted);
      expect((await session.merge()).config.tie_word_embeddings).toBe(true);
      session.dispose();
    }
  });
});

describe("ensure_weight_tying", () => {
  const tied = smallWeights(tiedLlama);
  const ensured = (more: object) => ({ ...lora, ensure_weight_tying: true, ...more });

  it.each([
    [
      "both ends in full",
      { modules_to_save: ["embed_tokens", "lm_head"] },
      ["embed_tokens", embedding],
      "modules_to_save",
    ],
    ["the head in full", { modules_to_save: ["lm_head"] }, [embedding], "modules_to_save"],
    [
      "LoRA on both ends",
      { target_modules: ["embed_tokens", "lm_head"] },
      ["embed_tokens", embedding],
      "target_modules",
    ],
    [
      "LoRA on one end",
      { target_modules: ["embed_tokens", "q_proj"] },
      ["embed_tokens", embedding, "q_proj"],
      "target_modules",
    ],
  ])("trains one tensor for both ends, writes it twice, and keeps the tie: %s", async (_what, more, names, field) => {
    const session = await begin(await memory(tiedLlama, tied), ensured(more));
    await session.step(batch, { lr: 0.01 });
    const { loss } = await session.forward(batch);
    const made = await files(session);
    const written = JSON.parse(config(made["adapter_config.json"]!));
    expect(written[field].toSorted()).toEqual(names.toSorted());
    const file = await openSafetensors(bytesSource("adapter", made["adapter_model.safetensors"]!));
    const numbers = async (key: string) => toFloat32(await file.read(inside(key)));
    if (field === "modules_to_save")
      expect(await numbers(`${head}.weight`)).toEqual(await numbers(`${embedding}.weight`));
    else {
      const [a, b] = [await numbers(`${head}.lora_A.weight`), await numbers(`${embedding}.lora_embedding_B`)];
      expect(a).toEqual(Float32Array.from(a, (_x, i) => b[(i % 12) * 2 + Math.floor(i / 12)]!));
    }
    const merged = await reloaded(await session.merge());
    session.dispose();
    expect(merged.config.tie_word_embeddings).toBe(true);
    expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
    const again = await begin(await memory(tiedLlama, tied), made);
    expect((await again.forward(batch)).loss).toBe(loss);
    expect(await files(again)).toEqual(made);
    again.dispose();
  });

  it("has no effect, with a warning, where nothing is tied or no end is named", async () => {
    const codes = async (base: object, settings: object) => {
      const program = await compile(await memory(base, smallWeights(base)), settings, { batch: 1, length: 7 });
      return program.diagnostics.map(({ code }) => code);
    };
    expect(await codes(smallLlama, ensured({ modules_to_save: ["lm_head"] }))).toEqual(["CONFIG-TIES-UNUSED"]);
    expect(await codes(tiedLlama, ensured({}))).toEqual(["CONFIG-TIES-UNUSED"]);
  });
});
