/** Ends of a tie: what the file holds decides, as in transformers. */
import { describe, expect, it } from "vitest";
import {
  batch,
  begin,
  lossOf,
  memory,
  moved,
  reloaded,
  smallGpt2,
  smallLlama,
  smallWeights,
  tiedLlama,
} from "../small-models.ts";

const embedding = "model.embed_tokens.weight";
const head = "lm_head.weight";
const lora = { peft_type: "LORA", r: 2, target_modules: ["embed_tokens"], init_lora_weights: false };

describe("a config that ties what the file holds apart", () => {
  it.each([
    ["llama", tiedLlama, embedding, "F32"],
    ["llama in bf16", tiedLlama, embedding, "BF16"],
    ["gpt2 in f16", smallGpt2, "transformer.wte.weight", "F16"],
  ] as const)("is untied, with a warning: %s", async (_name, config, table, dtype) => {
    const tied = smallWeights(config, 1, dtype);
    const weights = { ...tied, [head]: moved(tied[table]!) };
    const model = await memory(config, weights);
    const wanted = await lossOf(await memory({ ...config, tie_word_embeddings: false }, weights), null);
    expect(await lossOf(model, null)).toBe(wanted);
    expect(await lossOf(await memory(config, tied), null)).not.toBeCloseTo(wanted, 2);
    const session = await begin(model, null, { mode: "infer" });
    expect(session.program.diagnostics).toMatchObject([{ code: "MODEL-TIES", severity: "warning" }]);
    session.dispose();
    await expect(begin(model, null, { strict: true })).rejects.toMatchObject({ code: "MODEL-TIES" });
  });

  it("keeps its loss when it is merged and read again", async () => {
    const tied = smallWeights(tiedLlama);
    const session = await begin(await memory(tiedLlama, { ...tied, [head]: moved(tied[embedding]!) }), lora);
    const { loss } = await session.forward(batch);
    const merged = await reloaded(await session.merge());
    expect(merged.config.tie_word_embeddings).toBe(false);
    expect(await lossOf(merged, null)).toBeCloseTo(loss!, 4);
    session.dispose();
  });
});

describe("a tie that the file", () => {
  const weights = smallWeights(tiedLlama);
  const { [embedding]: table, ...others } = weights;

  it("holds once, under either name, is one tensor", async () => {
    const wanted = await lossOf(await memory(tiedLlama, weights), null);
    expect(await lossOf(await memory(tiedLlama, { ...others, [head]: table! }), null)).toBe(wanted);
  });

  it.each([
    ["the head alone", { ...others, [head]: table! }],
    ["both alike", { ...weights, [head]: table! }],
  ])("holds as %s stays right when adapters are merged and all is trained", async (_name, file) => {
    const model = await memory(tiedLlama, file);
    const session = await begin(model, lora);
    const { loss } = await session.forward(batch);
    const merged = await session.merge();
    expect(await lossOf(await reloaded(merged), null)).toBeCloseTo(loss!, 4);
    session.dispose();
    const full = await begin(model, null, { full: true });
    await full.step(batch, { lr: 0.01 });
    const trained = await full.merge();
    const { loss: after } = await full.forward(batch);
    full.dispose();
    const again = await reloaded(trained);
    expect(again.weights.keys()).toEqual(Object.keys(file));
    expect(again.config.tie_word_embeddings).toBe(true);
    expect(await lossOf(again, null)).toBeCloseTo(after!, 4);
  });

  it("holds twice apart is none where the config says so", async () => {
    const apart = { ...weights, [head]: moved(table!) };
    const session = await begin(await memory(smallLlama, apart), null, { mode: "infer" });
    expect(session.program.diagnostics).toEqual([]);
    session.dispose();
  });
});
