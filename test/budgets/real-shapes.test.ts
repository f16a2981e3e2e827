/** Real models within WebGPU's default limits: 128 MiB a binding, 256 MiB a buffer, eight storage buffers. From configs alone. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { isAll } from "../extent.ts";
import { stepCost } from "./llama.ts";
import { llama1B, qwenHalfB, smolLM2 } from "./real-shapes.ts";

const folder = mkdtempSync(join(tmpdir(), "webpeft-shapes-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function fromConfig(config: object): Promise<Model> {
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return loadModel(folder, { headersOnly: true });
}

const lora = { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: "all-linear" };
const binding = 128 * 2 ** 20;

const shapes = [
  { name: "SmolLM2-135M at 1 x 128", config: smolLM2, batch: 1, length: 128, chunks: 0, parts: 0 },
  { name: "SmolLM2-135M at 8 x 128", config: smolLM2, batch: 8, length: 128, chunks: 8, parts: 0 },
  { name: "Llama-3.2-1B at 1 x 512", config: llama1B, batch: 1, length: 512, chunks: 8, parts: 8 },
  { name: "Qwen2.5-0.5B at 1 x 512", config: qwenHalfB, batch: 1, length: 512, chunks: 10, parts: 5 },
];

describe("a training program", () => {
  it.each(shapes)("of $name fits", async ({ config, batch, length, chunks, parts }) => {
    // Layers are alike; all of them are compiled in `npm run test:all`.
    const layers = isAll ? config.num_hidden_layers : 2;
    const model = await fromConfig({ ...config, num_hidden_layers: layers });
    const { plan, timeline } = await compile(model, lora, { batch, length });
    const dispatches = plan.stages.flatMap((stage) => stage.dispatches);
    for (const { bindings, kernel } of dispatches) {
      expect(bindings.length, kernel).toBeLessThanOrEqual(8);
      for (const { size, buffer } of bindings) expect(size, buffer).toBeLessThanOrEqual(binding);
    }
    for (const { bytes, name } of plan.buffers) expect(bytes, name).toBeLessThanOrEqual(2 * binding);
    const notes = timeline
      .filter(({ pass, stage }) => pass === "partition" && stage === "micro")
      .flatMap((t) => t.notes);
    const decisions = [
      ...(chunks === 0 ? [] : [expect.stringContaining(`${chunks} chunks`)]),
      ...(parts === 0 ? [] : [expect.stringContaining(`${parts} parts`)]),
    ];
    expect(notes.map(({ decision }) => decision)).toEqual(decisions);
  });

  it("costs what it did where heads share keys", async () => {
    const model = await fromConfig({ ...smolLM2, num_hidden_layers: 2 });
    const config = { peft_type: "LORA", r: 8, target_modules: ["q_proj", "v_proj"] };
    const { dispatches, flops } = stepCost(await compile(model, config, { batch: 1, length: 128 }));
    expect(dispatches).toBeLessThanOrEqual(68);
    expect(flops).toBeLessThanOrEqual(18_409_002_771);
  });

  it("never has all logits in memory when only the loss is wanted", async () => {
    const model = await fromConfig({ ...smolLM2, num_hidden_layers: 1 });
    const { plan } = await compile(model, lora, { mode: "infer", batch: 8, length: 128 });
    const logits = 4 * 8 * 128 * smolLM2.vocab_size;
    const arenas = plan.buffers.filter(({ name }) => name.startsWith("arena"));
    expect(arenas.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(logits / 2);
    const lossOnly = plan.stages.at(-1)!.dispatches.filter(({ outputs }) => outputs.includes("loss"));
    expect(lossOnly.flatMap(({ bindings }) => bindings).some(({ buffer }) => buffer.startsWith("pieces"))).toBe(false);
  });

  it("that cannot fit says which tensor is too large", async () => {
    const model = await fromConfig({ ...qwenHalfB, num_hidden_layers: 1 });
    const config = { peft_type: "LORA", r: 8, target_modules: ["q_proj"], modules_to_save: ["embed_tokens"] };
    const program = await compile(model, config, { batch: 1, length: 32 });
    expect(() => program.plan).toThrow(
      expect.objectContaining({
        code: "CODEGEN-BINDING-LIMIT",
        where: "micro: base_model.model.model.embed_tokens.weight",
        got: "f32[151936,896], 519.3 MiB",
      }),
    );
  });
});
