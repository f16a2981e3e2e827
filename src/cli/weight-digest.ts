/** What a run stands on: the contents of the base model's weights as one hash, taken while they are read so that nothing is read twice. */
import { createHash } from "node:crypto";
import type { Model } from "../runtime/files/model.ts";

/** SHA-256 of a text or of bytes, cut to 128 bits. */
export const digest = (data: string | Uint8Array): string =>
  createHash("sha256").update(data).digest("hex").slice(0, 32);

export interface DigestedModel {
  /** The same model; every tensor that is read from it is hashed in full (about 1.3 GB/s on one core). */
  readonly model: Model;
  /** The hash of everything that was read so far, whatever the order. Tensors that a program never reads do not count. */
  readonly contents: () => string;
}

export function digestedModel(model: Model): DigestedModel {
  const digests = new Map<string, string>();
  const read = async (key: string) => {
    const tensor = await model.weights.read(key);
    if (!digests.has(key)) digests.set(key, digest(tensor.bytes));
    return tensor;
  };
  return {
    model: { ...model, weights: { ...model.weights, read } },
    contents: () => digest(JSON.stringify([...digests].sort(([a], [b]) => (a < b ? -1 : 1)))),
  };
}
