import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AdapterFiles, encodeAdapter, readAdapter, saveAdapter } from "../../src/runtime/files/adapter.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import type { SafetensorsFile } from "../../src/runtime/files/safetensors.ts";
import { saveModel } from "../../src/runtime/files/save-model.ts";
import { fromFloat32, type HostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { failure, golden, temporaryFolder } from "./helpers.ts";

const path = (name: string): string => join(golden, "cases", name);
const floatFields = new Set(["lora_dropout", "encoder_dropout", "vblora_dropout", "init_logits_std"]);

async function tensorsOf(file: SafetensorsFile): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  return tensors;
}

async function contentOf({ config, tensors, metadata, encoder }: AdapterFiles) {
  const more = encoder && { encoder: await tensorsOf(encoder) };
  return { config, floatFields, tensors: await tensorsOf(tensors), metadata, ...more };
}

describe("adapter folders", () => {
  it.each(["llama-lora", "llama-p-tuning", "llama-shira"])(
    "%s: read and written again, every byte is the same",
    async (name) => {
      const adapter = await readAdapter(path(name));
      expect(adapter.metadata).toEqual({ format: "pt" });
      const out = join(temporaryFolder(), "out");
      await saveAdapter(out, await contentOf(adapter));
      expect(readdirSync(out)).toHaveLength(name === "llama-p-tuning" ? 3 : 2);
      for (const file of readdirSync(out)) {
        expect(Buffer.compare(readFileSync(join(out, file)), readFileSync(join(path(name), file)))).toBe(0);
      }
    },
  );

  it("go through memory as blobs", async () => {
    const files = encodeAdapter(await contentOf(await readAdapter(path("llama-p-tuning"))));
    const blobs = Object.fromEntries([...files].map(([name, bytes]) => [name, new Blob([new Uint8Array(bytes)])]));
    const again = await readAdapter(blobs);
    expect(again.config.peft_type).toBe("P_TUNING");
    expect(again.encoder!.tensors.size).toBeGreaterThan(0);
  });

  it("lose the encoder of the adapter that was there before", async () => {
    const out = join(temporaryFolder(), "out");
    await saveAdapter(out, await contentOf(await readAdapter(path("llama-p-tuning"))));
    await saveAdapter(out, await contentOf(await readAdapter(path("llama-lora"))), { overwrite: true });
    expect(readdirSync(out).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("say what is missing", async () => {
    const config = '{"peft_type":"LORA"}';
    const pickled = await failure(() => readAdapter({ "adapter_config.json": config, "adapter_model.bin": "x" }));
    expect(pickled).toMatchObject({ code: "FILE-PICKLE", where: "memory/adapter_model.bin" });
    expect(pickled.help).toContain("safe_serialization");
    const empty = await failure(() => readAdapter({ "adapter_config.json": config }));
    expect(empty).toMatchObject({ code: "FILE-NOT-FOUND", where: "memory/adapter_model.safetensors" });
    expect((await failure(() => readAdapter({}))).where).toBe("memory/adapter_config.json");
  });
});

describe("model folders", () => {
  const base = join(golden, "bases/llama");

  it("are copies, byte for byte, when nothing was changed", async () => {
    const folder = temporaryFolder();
    cpSync(base, join(folder, "in"), { recursive: true });
    writeFileSync(join(folder, "in/tokenizer.json"), '{"\u00e9": 1}');
    writeFileSync(join(folder, "in/generation_config.json"), "{}");
    writeFileSync(join(folder, "in/pytorch_model.bin"), "not copied");
    const out = join(folder, "out");
    const written: string[] = [];
    await saveModel(await loadModel(join(folder, "in")), out, {
      onProgress: (_done, _total, key) => written.push(key),
    });
    const expected = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
    expect(readdirSync(out).sort()).toEqual(expected);
    for (const file of expected) {
      expect(Buffer.compare(readFileSync(join(out, file)), readFileSync(join(folder, "in", file)))).toBe(0);
    }
    expect(written).toEqual((await loadModel(base)).weights.keys());
  });

  it("keep order, dtypes and keys of weights that are computed one at a time", async () => {
    let alive = 0;
    let most = 0;
    const keys = ["z", "a", "m"];
    const weights: Model["weights"] = {
      keys: () => keys,
      info: () => ({ dtype: "BF16", shape: [1000] }),
      async read(key) {
        alive++;
        most = Math.max(most, alive);
        const tensor = fromFloat32(new Float32Array(1000).fill(keys.indexOf(key) + 0.5), "BF16", [1000]);
        setImmediate(() => alive--);
        await new Promise((done) => setImmediate(done));
        return tensor;
      },
    };
    const out = join(temporaryFolder(), "out");
    await saveModel({ name: "computed", config: { b: 1, a: [0.5] }, weights }, out);
    expect(most).toBe(1);
    expect(readFileSync(join(out, "config.json"), "utf8")).toBe('{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n');
    const again = await loadModel(out);
    expect(again.weights.keys()).toEqual(keys);
    expect(again.weights.info("m")).toEqual({ dtype: "BF16", shape: [1000] });
    expect(toFloat32(await again.weights.read("m"))[999]).toBe(2.5);
  });

  it("may replace the folder they are read from", async () => {
    const folder = join(temporaryFolder(), "model");
    cpSync(base, folder, { recursive: true });
    mkdirSync(join(folder, "checkpoints"));
    const model = await loadModel(folder);
    await saveModel({ ...model, config: { ...model.config, note: "changed" } }, folder, { overwrite: true });
    const again = await loadModel(folder);
    expect(again.config.note).toBe("changed");
    expect(
      Buffer.compare(readFileSync(join(folder, "model.safetensors")), readFileSync(join(base, "model.safetensors"))),
    ).toBe(0);
    expect(readdirSync(folder)).toContain("checkpoints");
  });
});
