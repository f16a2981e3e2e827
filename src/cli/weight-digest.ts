/** What a run stands on, as hashes: the base model's weights and the files beside them, taken while they are read so that nothing is read twice. */
import { createHash } from "node:crypto";
import type { FileTree } from "../runtime/files/folder.ts";
import type { Model } from "../runtime/files/model.ts";

/** SHA-256 of a text or of bytes, cut to 128 bits. */
export const digest = (data: string | Uint8Array): string =>
  createHash("sha256").update(data).digest("hex").slice(0, 32);

export interface DigestedModel {
  /** The same model; every tensor that is read from it is hashed in full (about 1.3 GB/s on one core). */
  readonly model: Model;
  /** The hash of all weights that were read so far, whatever the order. Tensors that a program never reads do not count. */
  readonly weights: () => string;
  /** The hash of all other files that were read so far, and of the names of those that were asked for and are not there. */
  readonly files: () => string;
}

const together = (digests: ReadonlyMap<string, string>): string =>
  digest(JSON.stringify([...digests].sort(([a], [b]) => (a < b ? -1 : 1))));

export function digestedModel(model: Model): DigestedModel {
  const [tensors, files] = [new Map<string, string>(), new Map<string, string>()];
  const read = async (key: string) => {
    const tensor = await model.weights.read(key);
    if (!tensors.has(key)) tensors.set(key, digest(tensor.bytes));
    return tensor;
  };
  return {
    model: {
      ...model,
      weights: { ...model.weights, read },
      ...(model.tree && { tree: digestedTree(model.tree, files) }),
    },
    weights: () => together(tensors),
    files: () => together(files),
  };
}

/** Text files are read whole. */
function digestedTree(tree: FileTree, files: Map<string, string>): FileTree {
  return {
    ...tree,
    async open(path, options) {
      const source = await tree.open(path, options);
      if (source === undefined) files.set(path, "none");
      return (
        source && {
          ...source,
          async read(offset, length) {
            const bytes = await source.read(offset, length);
            files.set(path, digest(bytes));
            return bytes;
          },
        }
      );
    },
  };
}
