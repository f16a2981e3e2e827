/** Reads the golden files of these tests: JSON, and safetensors by the plain format. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));

export const goldenJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${root}${path}`, "utf8")) as Record<string, unknown>;

export const goldenBases = (): string[] => readdirSync(`${root}bases`);

export const goldenCases = (): string[] => readdirSync(`${root}cases`).sort();

export interface GoldenTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly bytes: Uint8Array;
}

export function goldenTensors(path: string): Map<string, GoldenTensor> {
  const file = readFileSync(`${root}${path}`);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerLength).toString("utf8")) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets.map((offset) => 8 + headerLength + offset) as [number, number];
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes: Uint8Array.from(file.subarray(begin, end)) });
  }
  return tensors;
}

/** The values of an F32, BF16, I32 or I64 tensor. */
export function valuesOf(tensor: GoldenTensor): number[] {
  const { buffer } = tensor.bytes;
  if (tensor.dtype === "F32") return [...new Float32Array(buffer)];
  if (tensor.dtype === "I32") return [...new Int32Array(buffer)];
  if (tensor.dtype === "I64") return [...new BigInt64Array(buffer)].map(Number);
  return [...new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer)];
}
