/** Every codec: what it writes is what it announces, and reads back as the numbers that it was given. */
import { describe, expect, it } from "vitest";
import { sizeOf } from "../../src/ir/types.ts";
import type { AdapterTensor, PatchForm, TensorCoding } from "../../src/program/index.ts";
import type { HostTensor } from "../../src/runtime/files/tensor.ts";
import type { CodecSource, TensorCodec } from "../../src/runtime/values/codecs/codec.ts";
import { codecsOf } from "../../src/runtime/values/codecs/index.ts";
import { randomNumbers } from "../models/helpers.ts";
import { tinyModel } from "./tiny-model.ts";

const model = await tinyModel();
const weight = "model.embed_tokens.weight";
const [, width] = model.weights.info(weight)!.shape as [number, number];

const base = { key: "t", role: "param", dtype: "f32", aliases: [], saved: true } as const;
const patches: Readonly<Record<PatchForm["name"], PatchForm>> = {
  kernel: { name: "kernel", patch: [3, 2, 2] },
  pointwise: { name: "pointwise", patch: [3, 2, 2] },
  channels: { name: "channels", patch: [3, 2, 2] },
  row: { name: "row", patch: [3, 2, 2] },
};
/** A tensor for every coding, so that none is forgotten. */
const coded: { readonly [Coding in TensorCoding as Coding["name"]]: AdapterTensor } = {
  on_rows: { ...base, shape: [3, width], coding: { name: "on_rows", rows: [4, 0, 4], weight } },
  top_k: { ...base, shape: [5, 4], coding: { name: "top_k", count: 4 } },
};
const tensors: Readonly<Record<string, AdapterTensor>> = {
  plain: { ...base, shape: [4, 3] },
  aliases: { ...base, shape: [4, 3], aliases: ["u"], turned: ["v"] },
  integers: { ...base, role: "buffer", dtype: "i32", shape: [2, 3], within: [4, 5] },
  ...coded,
  ...Object.fromEntries(
    Object.values(patches).map((patchForm) => [patchForm.name, { ...base, shape: [4, 12], patchForm }]),
  ),
};

function codecFor(tensor: AdapterTensor): TensorCodec {
  const program = { stages: [], adapter: { tensors: [tensor] } } as unknown as CodecSource["program"];
  return codecsOf({ program, model: () => model }).get(tensor.key)!;
}

const found = (file: ReadonlyMap<string, HostTensor>) => async (key: string) => {
  const tensor = file.get(key);
  return tensor && { inFile: key, tensor };
};

/** Numbers that a tensor may have: logits are those of the weights that the file keeps. */
function numbersFor({ shape, dtype, coding }: AdapterTensor): Float32Array | Int32Array {
  if (dtype === "i32") return Int32Array.of(0, 1, 1, 4, 0, 3);
  const numbers = randomNumbers(sizeOf(shape), 1);
  if (coding?.name !== "top_k") return Float32Array.from(numbers);
  return Float32Array.from(numbers, (x, i) => {
    const row = numbers.slice(i - (i % coding.count), i - (i % coding.count) + coding.count);
    return x - Math.log(row.reduce((sum, y) => sum + Math.exp(y), 0));
  });
}

describe.each(Object.entries(tensors))("a tensor in the form %s", (_name, tensor) => {
  const numbers = numbersFor(tensor);

  it("is written as it is announced, and read back", async () => {
    const codec = codecFor(tensor);
    const file = await codec.encode(numbers);
    expect([...file].map(([key, { shape }]) => [key, shape])).toEqual(
      codec.specs.map(({ key, shape }) => [key, shape]),
    );
    const read = (await codecFor(tensor).decode(found(file)))!;
    expect(read.length).toBe(numbers.length);
    for (const [i, x] of read.entries()) expect(x).toBeCloseTo(numbers[i]!, 5);
  });

  // Of a frozen tensor the file's own tensors are kept.
  it.skipIf(tensor.coding?.name === "top_k")("is written as it came while nothing trained it", async () => {
    const file = await codecFor(tensor).encode(numbers);
    const codec = codecFor(tensor);
    const again = await codec.encode((await codec.decode(found(file)))!);
    for (const [key, { dtype, bytes }] of file) expect([key, again.get(key)]).toMatchObject([key, { dtype, bytes }]);
  });
});

it("a file without the tensor has no numbers of it", async () => {
  for (const tensor of Object.values(tensors).filter(({ coding }) => coding?.name !== "top_k"))
    expect(await codecFor(tensor).decode(found(new Map()))).toBeUndefined();
});
