import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { type ByteSource, bytesSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, type HostTensor, hostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { failure, golden, rawFile } from "./helpers.ts";

const open = (bytes: Uint8Array) => openSafetensors(bytesSource("bad.safetensors", bytes));
const entry = (shape: unknown, from: unknown, to: unknown, dtype: unknown = "F32"): string =>
  JSON.stringify({ dtype, shape, data_offsets: [from, to] });

describe("files of PEFT", () => {
  const cases = readdirSync(join(golden, "cases")).map((name) => join(golden, "cases", name));
  const files = cases
    .flatMap((folder) => [join(folder, "adapter_model.safetensors"), join(folder, "encoder.safetensors")])
    .filter((file) => existsSync(file));

  it.each(files)("%s is byte-equal when encoded again", async (path) => {
    const bytes = new Uint8Array(readFileSync(path));
    const file = await open(bytes);
    expect(file.metadata).toEqual({ format: "pt" });
    // Backwards, to show that the order is the encoder's.
    const tensors = new Map<string, HostTensor>();
    for (const name of [...file.tensors.keys()].reverse()) tensors.set(name, await file.read(name));
    expect(Buffer.compare(encodeSafetensors(tensors), bytes)).toBe(0);
  });

  it("covers files of several dtypes", () => {
    const names = files.map((file) => file.split("/").at(-2));
    expect(names).toEqual(expect.arrayContaining(["llama-shira", "llama-vblora-topk", "llama-lora"]));
  });

  it("changes when one number changes", async () => {
    const bytes = new Uint8Array(readFileSync(join(golden, "cases/llama-lora/adapter_model.safetensors")));
    const file = await open(bytes);
    const [name] = file.tensors.keys();
    const before = toFloat32(await file.read(name!)).slice();
    bytes[file.tensors.get(name!)!.begin]! ^= 1;
    expect(toFloat32(await file.read(name!))).not.toEqual(before);
  });
});

describe("layout", () => {
  const one = hostTensor("U8", [1], Uint8Array.of(7));

  it("orders by dtype, then by name in code points, and pads the header", async () => {
    const tensors = new Map<string, HostTensor>([
      ["b", one],
      ["\u{1f600}", one],
      ["\uffee", one],
      ["i", hostTensor("I32", [1], Int32Array.of(1))],
      ["h", fromFloat32(Float32Array.of(1), "F16", [1])],
      ["f", fromFloat32(Float32Array.of(1), "F32", [])],
      ["l", hostTensor("I64", [1], BigInt64Array.of(1n))],
      ["empty", hostTensor("F32", [0, 3], new Float32Array(0))],
    ]);
    const bytes = encodeSafetensors(tensors, { format: "pt", 'a "quoted" one': "\n" });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const text = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(
      text.startsWith('{"__metadata__":{"format":"pt","a \\"quoted\\" one":"\\n"},"l":{"dtype":"I64","shape":[1],'),
    ).toBe(true);
    const file = await open(bytes);
    expect([...file.tensors.keys()]).toEqual(["l", "empty", "f", "i", "h", "b", "\uffee", "\u{1f600}"]);
    expect(file.tensors.get("empty")).toMatchObject({ shape: [0, 3] });
    expect((await file.read("b")).bytes).toEqual(Uint8Array.of(7));
  });

  it("reads an empty file of tensors, names like object properties, and says which tensor is missing", async () => {
    expect((await open(rawFile("{}"))).tensors.size).toBe(0);
    const file = await open(rawFile(`{"__proto__":${entry([1], 0, 4)},"constructor":${entry([1], 4, 8)}}`, 8));
    expect([...file.tensors.keys()]).toEqual(["__proto__", "constructor"]);
    const error = await failure(() => file.read("toString"));
    expect(error).toMatchObject({ code: "FILE-TENSOR-MISSING", where: "bad.safetensors: toString" });
  });
});

describe("hostile files", () => {
  const two = (a: string, b: string): string => `{"a":${a},"b":${b}}`;
  const notUtf8 = new TextEncoder().encode('{"x":{}}');
  notUtf8[2] = 0xff;
  const bad: Record<string, [code: string, bytes: Uint8Array, where?: string]> = {
    "an empty file": ["TRUNCATED", new Uint8Array(0)],
    "less than a length": ["TRUNCATED", new Uint8Array(7)],
    "a header longer than the file": ["TRUNCATED", rawFile("{}", 0, 3)],
    "a huge header": ["HEADER-SIZE", rawFile("{}", 0, 100_000_001)],
    "a header of 2^64 - 1 bytes": ["HEADER-SIZE", rawFile("{}", 0, 2n ** 64n - 1n)],
    "an empty header": ["HEADER", rawFile("")],
    "a header that is not UTF-8": ["HEADER", rawFile(notUtf8)],
    "a byte order mark": ["HEADER", rawFile("\ufeff{}")],
    "a blank before the header": ["HEADER", rawFile(" {}")],
    "bad JSON": ["HEADER", rawFile('{"a":')],
    "JSON and more": ["HEADER", rawFile("{}{}")],
    "a list": ["HEADER", rawFile("[]")],
    "deep nesting": ["HEADER", rawFile(`{"__metadata__":${"[".repeat(50_000)}${"]".repeat(50_000)}}`)],
    "nothing but brackets": ["HEADER", rawFile(`{${"[".repeat(20_000_000)}`)],
    "a list of a million objects": ["HEADER", rawFile(`{"a":[{}${",{}".repeat(1_000_000)}]}`)],
    "a tensor twice": ["DUPLICATE", rawFile(`{"a":${entry([1], 0, 4)},"a":${entry([1], 0, 4)}}`, 4)],
    "a tensor twice, once escaped": [
      "DUPLICATE",
      rawFile(`{"a":${entry([1], 0, 4)},"\\u0061" :${entry([1], 0, 4)}}`, 4),
    ],
    "a shape twice": ["DUPLICATE", rawFile('{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,1],"shape":[1]}}', 1)],
    "a metadata key twice": ["DUPLICATE", rawFile('{"__metadata__":{"x":"1","x":"2"}}')],
    "metadata that is no text": ["METADATA", rawFile('{"__metadata__":{"x":1}}'), "__metadata__"],
    "metadata that is a list": ["METADATA", rawFile('{"__metadata__":["x"]}'), "__metadata__"],
    "an entry that is no object": ["ENTRY", rawFile('{"a":null}'), "a"],
    "an unknown dtype": ["DTYPE", rawFile(`{"a":${entry([1], 0, 4, "F31")}}`, 4), "a"],
    "a dtype like a property of objects": ["DTYPE", rawFile(`{"a":${entry([1], 0, 4, "toString")}}`, 4), "a"],
    "a dtype that is no text": ["DTYPE", rawFile(`{"a":${entry([1], 0, 4, ["F32"])}}`, 4), "a"],
    "a negative size": ["SHAPE", rawFile(`{"a":${entry([-1, -1], 0, 4)}}`, 4), "a"],
    "a fraction as size": ["SHAPE", rawFile(`{"a":${entry([0.5, 2], 0, 4)}}`, 4), "a"],
    "a size beyond exact integers": [
      "SHAPE",
      rawFile('{"a":{"dtype":"U8","shape":[1e300],"data_offsets":[0,0]}}'),
      "a",
    ],
    "a shape that is no list": ["SHAPE", rawFile(`{"a":${entry("1", 0, 4)}}`, 4), "a"],
    "a product beyond exact integers": ["SIZE", rawFile(`{"a":${entry([2 ** 40, 2 ** 40], 0, 4)}}`, 4), "a"],
    "a product that wraps around at 2^64": ["SIZE", rawFile(`{"a":${entry([2 ** 32, 2 ** 32], 0, 0)}}`), "a"],
    "a product that overflows before a zero": ["SIZE", rawFile(`{"a":${entry([2 ** 50, 2 ** 50, 0], 0, 0)}}`), "a"],
    "a wrong product": ["SIZE", rawFile(`{"a":${entry([2, 3], 0, 20)}}`, 20), "a"],
    "offsets backwards": ["OFFSETS", rawFile(`{"a":${entry([1], 4, 0)}}`, 4), "a"],
    "a negative offset": ["OFFSETS", rawFile(`{"a":${entry([1], -4, 0)}}`, 4), "a"],
    "three offsets": ["OFFSETS", rawFile('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 2), "a"],
    "no offsets": ["OFFSETS", rawFile('{"a":{"dtype":"U8","shape":[1]}}', 1), "a"],
    "an end behind the file": ["TRUNCATED", rawFile(`{"a":${entry([2], 0, 8)}}`, 4), "a"],
    "a terabyte claimed": ["TRUNCATED", rawFile(`{"a":${entry([2 ** 38], 0, 2 ** 40)}}`, 4), "a"],
    "an overlap": ["OVERLAP", rawFile(two(entry([2], 0, 8), entry([2], 4, 12)), 12), "b"],
    "the same bytes twice": ["OVERLAP", rawFile(two(entry([1], 0, 4), entry([1], 0, 4)), 4), "b"],
    "a hole in front": ["HOLE", rawFile(`{"a":${entry([1], 4, 8)}}`, 8), "a"],
    "a hole between": ["HOLE", rawFile(two(entry([1], 8, 12), entry([1], 0, 4)), 12), "a"],
    "bytes behind the tensors": ["HOLE", rawFile(`{"a":${entry([1], 0, 4)}}`, 5)],
  };

  it.each(Object.entries(bad))("refuses %s", async (_, [code, bytes, tensor]) => {
    const error = await failure(() => open(bytes));
    expect(error.code).toBe(`FILE-SAFETENSORS-${code}`);
    expect(error.where).toBe(tensor === undefined ? "bad.safetensors" : `bad.safetensors: ${tensor}`);
    for (const text of [error.expected, error.got]) expect(text!.length).toBeLessThan(400);
  });

  it("reads nothing by the word of a header before it is checked", async () => {
    const reads: number[] = [];
    const spied = (bytes: Uint8Array, size: number): ByteSource => ({
      name: "claims",
      size,
      read: async (offset, length) => {
        reads.push(length);
        return bytes.subarray(offset, offset + length);
      },
    });
    await failure(() => openSafetensors(spied(rawFile("{}", 0, 2 ** 40), 2 ** 50)));
    await failure(() => openSafetensors(spied(rawFile(`{"a":${entry([2 ** 39], 0, 2 ** 41)}}`), 2 ** 40)));
    expect(Math.max(...reads)).toBeLessThan(100);
  });

  it("scans a long header in linear time", async () => {
    const header = `{"__metadata__":{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":"${"\\\\".repeat(100)}"`).join(",")}}}`;
    const start = performance.now();
    await open(rawFile(header));
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("gives coded errors, never crashes, for damaged files", async () => {
    const whole = new Uint8Array(readFileSync(join(golden, "cases/llama-shira/adapter_model.safetensors")));
    const damage = fc.record({
      cut: fc.nat(whole.length),
      at: fc.array(fc.nat(1600), { maxLength: 3 }),
      byte: fc.nat(255),
    });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(damage, async ({ cut, at, byte }) => {
        const bytes = at.length === 0 ? whole.slice(0, cut) : whole.slice();
        for (const position of at) bytes[position] = byte;
        try {
          const file = await open(bytes);
          for (const name of file.tensors.keys()) await file.read(name);
        } catch (error) {
          expect(error).toBeInstanceOf(WebpeftError);
          refused++;
        }
      }),
      { numRuns: 500, seed: 1 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

describe("what git-lfs left", () => {
  it("is named, with how the file itself is fetched", async () => {
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    const { code, message, help } = await failure(() => open(new TextEncoder().encode(pointer)));
    expect([code, message, help]).toEqual([
      "FILE-SAFETENSORS-HEADER-SIZE",
      expect.stringContaining("git-lfs"),
      expect.stringContaining("git lfs pull"),
    ]);
  });
});
