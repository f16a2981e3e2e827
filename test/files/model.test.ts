import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { loadModel, type MemoryModel } from "../../src/runtime/files/model.ts";
import type { ProgressEvent } from "../../src/runtime/files/progress.ts";
import { encodeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fileSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, type HostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { failure, golden, temporaryFolder } from "./helpers.ts";

const llama = join(golden, "bases/llama");
const vector = (...numbers: number[]): HostTensor => fromFloat32(Float32Array.from(numbers), "F32", [numbers.length]);
const file = (tensors: Record<string, HostTensor>): Uint8Array => encodeSafetensors(new Map(Object.entries(tensors)));
const index = (map: unknown): string => JSON.stringify({ metadata: { total_size: 0 }, weight_map: map });

describe("a folder with one file", () => {
  it("is opened by path, file URL, and as files in memory", async () => {
    const bytes = readFileSync(join(llama, "model.safetensors"));
    const config = readFileSync(join(llama, "config.json"), "utf8");
    const sources = [
      llama,
      pathToFileURL(llama),
      { "config.json": config, "model.safetensors": new Uint8Array(bytes) },
      { "config.json": new Blob([config]), "model.safetensors": new Blob([new Uint8Array(bytes)]) },
    ];
    for (const source of sources) {
      const model = await loadModel(source);
      expect(model.config.model_type).toBe("llama");
      expect(model.weights.info("model.norm.weight")).toEqual({ dtype: "F32", shape: [32] });
      expect(model.weights.info("toString")).toBeUndefined();
      const head = await model.weights.read("lm_head.weight");
      expect(Buffer.from(head.bytes)).toEqual(bytes.subarray(8 + 2088, 8 + 2088 + head.bytes.length));
      expect(model.weights.keys()[0]).toBe("lm_head.weight");
    }
    expect((await loadModel(llama)).name).toBe(llama);
  });

  it("reports progress that adds up to the file", async () => {
    const events: ProgressEvent[] = [];
    const model = await loadModel(llama, { progress: (event) => events.push(event) });
    expect(events[0]).toMatchObject({ status: "initiate", name: llama, file: "model.safetensors", loaded: 0 });
    for (const key of model.weights.keys()) await model.weights.read(key);
    await model.weights.read("lm_head.weight");
    const size = readFileSync(join(llama, "model.safetensors")).length;
    expect(events.at(-1)).toMatchObject({ status: "done", progress: 100, loaded: size, total: size });
    expect(events.filter((event) => event.status === "done")).toHaveLength(1);
    const loaded = events.map((event) => event.loaded);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  });

  it("stops at a signal", async () => {
    const controller = new AbortController();
    const model = await loadModel(llama, { signal: controller.signal });
    controller.abort();
    await expect(model.weights.read("lm_head.weight")).rejects.toThrow(/abort/i);
    await expect(loadModel(llama, { signal: controller.signal })).rejects.toThrow(/abort/i);
  });

  it("says what is missing or wrong", async () => {
    const config = "{}";
    const cases: [source: Parameters<typeof loadModel>[0], code: string, where: RegExp][] = [
      [join(llama, "nowhere"), "FILE-NOT-FOUND", /nowhere$/],
      [join(llama, "config.json"), "FILE-NOT-A-FOLDER", /config\.json$/],
      [{}, "FILE-NOT-FOUND", /config\.json$/],
      [{ "config.json": config }, "FILE-NOT-FOUND", /model\.safetensors$/],
      [{ "config.json": "[1]" }, "FILE-JSON", /config\.json$/],
      [{ "config.json": Uint8Array.of(0x7b, 0xff, 0x7d) }, "FILE-NOT-UTF8", /config\.json$/],
      [{ "config.json": config, "pytorch_model.bin": "x" }, "FILE-PICKLE", /pytorch_model\.bin$/],
      [
        { "config.json": config, "model.safetensors": "too short" },
        "FILE-SAFETENSORS-HEADER-SIZE",
        /model\.safetensors$/,
      ],
    ];
    for (const [source, code, where] of cases) {
      const error = await failure(() => loadModel(source));
      expect(error.code).toBe(code);
      expect(error.where).toMatch(where);
    }
  });
});

describe("a file on disk", () => {
  it("that is cut off or replaced while it is in use is an error", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "f");
    writeFileSync(path, "0123456789");
    const source = await fileSource(path);
    expect(new TextDecoder().decode(await source.read(3, 4))).toBe("3456");
    expect((await failure(() => source.read(8, 4))).code).toBe("FILE-TRUNCATED");
    expect((await failure(() => source.read(-1, 4))).code).toBe("FILE-TRUNCATED");
    expect((await failure(() => source.read(0, 2 ** 50))).code).toBe("FILE-TRUNCATED");
    writeFileSync(path, "01234");
    expect((await failure(() => source.read(0, 4))).code).toBe("FILE-CHANGED");
    rmSync(path);
    expect((await failure(() => source.read(0, 4))).code).toBe("FILE-NOT-FOUND");
    mkdirSync(path);
    expect((await failure(() => fileSource(path))).code).toBe("FILE-NOT-A-FILE");
  });
});

describe("shards", () => {
  const first = "model-00001-of-00002.safetensors";
  const second = "model-00002-of-00002.safetensors";
  let files: Record<string, string | Uint8Array>;
  beforeEach(() => {
    files = {
      "config.json": "{}",
      "model.safetensors.index.json": index({ b: second, a: first, c: first }),
      [first]: file({ a: vector(1), c: vector(3, 4) }),
      [second]: file({ b: vector(2) }),
    };
  });

  it("are one set of weights", async () => {
    const { weights } = await loadModel(files);
    expect(weights.keys()).toEqual(["a", "c", "b"]);
    expect([...toFloat32(await weights.read("b"))]).toEqual([2]);
    expect([...toFloat32(await weights.read("c"))]).toEqual([3, 4]);
  });

  it("hold the same numbers as the one file they were cut from", async () => {
    const whole = await loadModel(llama);
    const folder = temporaryFolder();
    cpSync(join(llama, "config.json"), join(folder, "config.json"));
    const map: Record<string, string> = {};
    const parts: Record<string, HostTensor>[] = [{}, {}];
    for (const [i, key] of whole.weights.keys().entries()) {
      map[key] = [first, second][i % 2]!;
      parts[i % 2]![key] = await whole.weights.read(key);
    }
    writeFileSync(join(folder, first), file(parts[0]!));
    writeFileSync(join(folder, second), file(parts[1]!));
    writeFileSync(join(folder, "model.safetensors.index.json"), index(map));
    const { weights } = await loadModel(folder);
    expect(weights.keys().sort()).toEqual(whole.weights.keys().sort());
    for (const key of weights.keys()) {
      expect(Buffer.compare((await weights.read(key)).bytes, (await whole.weights.read(key)).bytes)).toBe(0);
    }
  });

  it("that lie are refused", async () => {
    const cases: [change: Record<string, string | Uint8Array | undefined>, code: string, where: string][] = [
      [{ [second]: undefined }, "FILE-SHARD-MISSING", `memory/${second}`],
      [{ [second]: file({ b: vector(2), a: vector(1) }) }, "FILE-SHARD-DUPLICATE", "memory: a"],
      [{ [second]: file({ d: vector(2) }) }, "FILE-INDEX-MISMATCH", "memory/model.safetensors.index.json: b"],
      [
        { [second]: file({ b: vector(2), d: vector(2) }) },
        "FILE-INDEX-MISMATCH",
        "memory/model.safetensors.index.json: d",
      ],
      [{ "model.safetensors.index.json": "{}" }, "FILE-INDEX", "memory/model.safetensors.index.json"],
      [{ "model.safetensors.index.json": index({ a: 1 }) }, "FILE-INDEX", "memory/model.safetensors.index.json"],
      [{ "model.safetensors.index.json": index({ a: "../a" }) }, "FILE-SHARD-MISSING", "memory/../a"],
      [
        { "model.safetensors.index.json": `{"weight_map":{"a":"${first}","a":"${second}"}}` },
        "FILE-INDEX-DUPLICATE",
        "memory/model.safetensors.index.json",
      ],
    ];
    for (const [change, code, where] of cases) {
      const changed = Object.fromEntries(
        Object.entries({ ...files, ...change }).filter(([, data]) => data !== undefined),
      );
      const error = await failure(() => loadModel(changed as Record<string, string>));
      expect([error.code, error.where]).toEqual([code, where]);
    }
  });

  it("outside the folder are not opened", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "model"));
    writeFileSync(join(folder, "secret.safetensors"), file({ a: vector(1) }));
    for (const shard of [
      "../secret.safetensors",
      join(folder, "secret.safetensors"),
      "x/../../secret.safetensors",
      "a\\b",
      "",
    ]) {
      writeFileSync(join(folder, "model/config.json"), "{}");
      writeFileSync(join(folder, "model/model.safetensors.index.json"), index({ a: shard }));
      expect((await failure(() => loadModel(join(folder, "model")))).code).toBe("FILE-PATH");
    }
    expect(existsSync(join(folder, "secret.safetensors"))).toBe(true);
  });
});

describe("weights in memory", () => {
  it("come as host tensors, arrays with a shape, bare arrays, and tensors like those of tfjs", async () => {
    const { weights, config, name } = await loadModel({
      config: { model_type: "llama" },
      weights: {
        host: fromFloat32(Float32Array.of(1, 2), "BF16", [2, 1]),
        shaped: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        bits: { shape: [1], data: Uint16Array.of(0x3c00), dtype: "F16" },
        bare: Int32Array.of(5),
        tfjs: { shape: [3], dtype: "float32", data: async () => Float32Array.of(7, 8, 9) },
      },
    });
    expect([name, config.model_type]).toEqual(["memory", "llama"]);
    expect(weights.keys()).toEqual(["host", "shaped", "bits", "bare", "tfjs"]);
    const numbers = await Promise.all(weights.keys().map(async (key) => [...toFloat32(await weights.read(key))]));
    expect(numbers).toEqual([[1, 2], [1, 2, 3, 4], [1], [5], [7, 8, 9]]);
    expect(weights.info("host")).toEqual({ dtype: "BF16", shape: [2, 1] });
    expect((await failure(() => weights.read("none"))).code).toBe("FILE-TENSOR-MISSING");
  });

  it("of a wrong kind are named", async () => {
    const cases: [weight: unknown, code: string][] = [
      [{ shape: [3], data: new Float32Array(2) }, "DATA-TENSOR-SIZE"],
      [{ shape: [-1], data: new Float32Array(2) }, "DATA-TENSOR-SHAPE"],
      [{ data: new Float32Array(2) }, "DATA-TENSOR-SHAPE"],
      ["text", "DATA-TENSOR-SHAPE"],
      [Uint16Array.of(1), "DATA-TENSOR-DTYPE"],
      [{ shape: [1], dtype: "complex64", data: async () => [] }, "DATA-TENSOR-DTYPE"],
      [{ shape: [1], dtype: "F99", bytes: new Uint8Array(1) }, "DATA-TENSOR-DTYPE"],
    ];
    for (const [weight, code] of cases) {
      const error = await failure(() => loadModel({ config: {}, weights: { bad: weight } } as unknown as MemoryModel));
      expect([error.code, error.where]).toEqual([code, "bad"]);
    }
  });
});
