import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkFinite,
  firstNonFinite,
  float16ToNumber,
  fromFloat32,
  hostTensor,
  type TensorDtype,
  toFloat32,
  toInt32,
} from "../../src/runtime/files/tensor.ts";
import { failure } from "./helpers.ts";

const bits16 = (data: readonly number[], dtype: TensorDtype): number[] => {
  const { bytes } = fromFloat32(Float32Array.from(data), dtype, [data.length]);
  return [...new Uint16Array(bytes.buffer, bytes.byteOffset, data.length)];
};

/** Every number of a 16-bit type, by widening its bits. */
const all16 = (dtype: "F16" | "BF16"): Float32Array =>
  toFloat32(
    hostTensor(
      dtype,
      [65536],
      Uint16Array.from({ length: 65536 }, (_, i) => i),
    ),
  );

describe("16-bit floats", () => {
  it("expands known halves exactly", () => {
    const halves = { 0: 0x0000, 1: 0x3c00, "-2": 0xc000, 65504: 0x7bff, [2 ** -24]: 0x0001, [2 ** -14]: 0x0400 };
    for (const [value, bits] of Object.entries(halves)) expect(float16ToNumber(bits)).toBe(Number(value));
    expect(float16ToNumber(0x3555)).toBe(0.333251953125);
    expect(float16ToNumber(0x7c00)).toBe(Number.POSITIVE_INFINITY);
    expect(float16ToNumber(0xfe00)).toBeNaN();
    expect(Object.is(float16ToNumber(0x8000), -0)).toBe(true);
  });

  it("expands bf16 as the upper half of f32", () => {
    const tensor = hostTensor("BF16", [4], Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f7f));
    expect([...toFloat32(tensor)]).toEqual([1, -3.140625, 2 ** -133, 3.3895313892515355e38]);
  });

  it.each(["F16", "BF16"] as const)("gives all 65536 bit patterns of %s back, but for the payload of NaN", (dtype) => {
    const values = all16(dtype);
    const again = bits16([...values], dtype);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(values[i])) expect(toFloat32(hostTensor(dtype, [1], Uint16Array.of(again[i]!)))[0]).toBeNaN();
      else if (again[i] !== i) expect.fail(`${i} became ${again[i]}`);
    }
  });

  it.each(["F16", "BF16"] as const)("rounds to the nearest %s, ties to even", (dtype) => {
    const values = all16(dtype);
    // Between neighbours: the middle goes to the even one, a little beside it to the nearer one.
    for (let i = 0; i < (dtype === "F16" ? 0x7bff : 0x7f7f); i++) {
      const middle = (values[i]! + values[i + 1]!) / 2;
      const even = i % 2 === 0 ? i : i + 1;
      const step = Math.max(middle * 2 ** -23, 2 ** -149);
      const [below, tie, above] = bits16([middle - step, middle, middle + step], dtype);
      const exact = Math.fround(middle) === middle && middle - step >= values[i]!;
      if (exact && (tie !== even || below !== i || above !== i + 1)) expect.fail(`${i}: ${below} ${tie} ${above}`);
    }
  });

  it("overflows to infinity and underflows to zero as PyTorch does", () => {
    expect(bits16([65519, 65520, -1e9, 2 ** -25, 2 ** -25 * 1.0001, -(2 ** -26)], "F16")).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0x0000, 0x0001, 0x8000,
    ]);
    expect(bits16([3.4e38, 1 + 2 ** -8, 1 + 3 * 2 ** -8], "BF16")).toEqual([0x7f80, 0x3f80, 0x3f82]);
  });

  it("agrees with searching the nearest half, for any number", () => {
    const values = all16("F16").subarray(0, 0x7c00);
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65500, noNaN: true }), (value) => {
        const got = values[bits16([value], "F16")[0]!]!;
        const best = values.reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
        expect(Math.abs(got - value)).toBe(Math.abs(best - value));
      }),
      { numRuns: 50 },
    );
  });
});

describe("other types", () => {
  it("converts to f32", () => {
    expect([...toFloat32(hostTensor("I64", [2], BigInt64Array.of(-3n, 2n ** 40n)))]).toEqual([-3, 2 ** 40]);
    expect([...toFloat32(hostTensor("F64", [1], Float64Array.of(0.1)))]).toEqual([Math.fround(0.1)]);
    expect([...toFloat32(hostTensor("BOOL", [3], Uint8Array.of(0, 1, 255)))]).toEqual([0, 1, 1]);
    expect([...toFloat32(hostTensor("I8", [2], Int8Array.of(-128, 127)))]).toEqual([-128, 127]);
  });

  it("reads numbers at any alignment", () => {
    const shifted = new Uint8Array(9);
    shifted.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1);
    expect([...toFloat32({ dtype: "F32", shape: [2], bytes: shifted.subarray(1) })]).toEqual([1.5, -2]);
  });

  it("narrows integers with a range check", async () => {
    expect([...toInt32(hostTensor("I64", [3], BigInt64Array.of(-100n, 2n ** 31n - 1n, -(2n ** 31n))))]).toEqual([
      -100, 2147483647, -2147483648,
    ]);
    expect([...toInt32(hostTensor("F32", [2], Float32Array.of(3, -4)))]).toEqual([3, -4]);
    const large = await failure(() => toInt32(hostTensor("I64", [2], BigInt64Array.of(1n, 2n ** 31n)), "labels"));
    expect(large).toMatchObject({ code: "DATA-INTEGER-RANGE", where: "labels, index 1", got: "2147483648" });
    // A number that is 2^32 off must not pass because both sides were cut to 32 bits.
    for (const value of [2n ** 32n, 2n ** 53n + 1n]) {
      const error = await failure(() => toInt32(hostTensor("I64", [1], BigInt64Array.of(value))));
      expect(error.code).toBe("DATA-INTEGER-RANGE");
    }
    for (const value of [0.5, Number.NaN, 2 ** 31]) {
      const error = await failure(() => toInt32(hostTensor("F32", [1], Float32Array.of(value))));
      expect(error.code).toBe("DATA-INTEGER-RANGE");
    }
  });

  it("makes integers of f32 only where they are exact", async () => {
    expect([...fromFloat32(Float32Array.of(0, 255), "U8", [2]).bytes]).toEqual([0, 255]);
    expect([...toInt32(fromFloat32(Float32Array.of(-5), "I64", [1]))]).toEqual([-5]);
    const cases: [number, TensorDtype][] = [
      [256, "U8"],
      [-1, "U32"],
      [0.5, "I32"],
      [2, "BOOL"],
      [Number.NaN, "I64"],
      [2 ** 63, "I64"],
    ];
    for (const [value, dtype] of cases) {
      const error = await failure(() => fromFloat32(Float32Array.of(value), dtype, [1]));
      expect(error.code).toBe("DATA-INTEGER-RANGE");
    }
  });

  it("refuses data of another size than the shape", async () => {
    const error = await failure(() => hostTensor("F32", [2, 2], new Float32Array(3)));
    expect(error).toMatchObject({ code: "DATA-TENSOR-SIZE", expected: "16 bytes", got: "12 bytes" });
  });
});

describe("numbers that are not finite", () => {
  it.each(["F32", "F16", "BF16", "F64"] as const)("are found in %s", (dtype) => {
    const make = (value: number) => fromFloat32(Float32Array.of(1, -2, value, 0), dtype, [4]);
    expect(firstNonFinite(make(3))).toBe(-1);
    expect(firstNonFinite(make(Number.NaN))).toBe(2);
    expect(firstNonFinite(make(Number.NEGATIVE_INFINITY))).toBe(2);
  });

  it("are an error that names file, tensor and place", async () => {
    const tensor = fromFloat32(Float32Array.of(1, Number.NaN), "BF16", [2]);
    const error = await failure(() => checkFinite("lm_head.weight", tensor, "model.safetensors"));
    expect(error).toMatchObject({
      code: "DATA-TENSOR-NOT-FINITE",
      where: "model.safetensors: lm_head.weight",
      got: "NaN at index 1",
    });
    expect(() => checkFinite("x", hostTensor("I32", [1], Int32Array.of(-1)))).not.toThrow();
  });
});

describe("bytes at odd addresses", () => {
  it.each([1, 2, 3, 5])("are read, %s behind a boundary, a Buffer of Node's too", (offset) => {
    const numbers = Float32Array.of(1.5, -2, 1e10);
    const pool = Buffer.alloc(64);
    Buffer.from(numbers.buffer).copy(pool, offset);
    const bytes = pool.subarray(offset, offset + 12);
    expect([...toFloat32({ dtype: "F32", shape: [3], bytes })]).toEqual([...numbers]);
    const halves = fromFloat32(Float32Array.of(1, -2, 3), "F16", [3]).bytes;
    pool.set(halves, offset);
    expect([...toFloat32({ dtype: "F16", shape: [3], bytes: pool.subarray(offset, offset + 6) })]).toEqual([1, -2, 3]);
    expect(toInt32({ dtype: "I64", shape: [1], bytes: pool.fill(0).subarray(offset, offset + 8) })[0]).toBe(0);
  });
});
