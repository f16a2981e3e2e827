/** Safetensors files: opened for random access, and encoded as PEFT writes them. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { encodeHeader, layoutSorted, readHeader, type TensorEntry } from "./safetensors-header.ts";
import type { ByteSource } from "./source.ts";
import type { HostTensor } from "./tensor.ts";

export interface SafetensorsFile {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of their bytes in the file; `begin` and `end` count from the start of the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The bytes of one tensor, possibly shared with the source. Throws `FILE-TENSOR-MISSING`. */
  read(name: string): Promise<HostTensor>;
}

/** Reads the header and checks all of it; nothing else of the file is read, or need be there when `headerOnly`. Throws `FILE-SAFETENSORS-*`. */
export async function openSafetensors(source: ByteSource, headerOnly = false): Promise<SafetensorsFile> {
  const { metadata, tensors } = await readHeader(source, headerOnly);
  return {
    name: source.name,
    metadata,
    tensors,
    async read(name) {
      const entry = tensors.get(name);
      if (entry === undefined) throw tensorMissing(source.name, name);
      const { dtype, shape, begin, end } = entry;
      return { dtype, shape, bytes: await source.read(begin, end - begin) };
    },
  };
}

export function tensorMissing(file: string, name: string): WebpeftError {
  return new WebpeftError("FILE-TENSOR-MISSING", { message: "the file has no such tensor", where: `${file}: ${name}` });
}

/** What PEFT and transformers write into every file. */
export const torchMetadata = { format: "pt" } as const;

/**
 * The bytes of a file with these tensors, byte for byte as the safetensors library lays it out for Python: metadata, then tensors by
 * dtype and name whatever the order of the map, the header padded with blanks to 8.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = torchMetadata,
): Uint8Array {
  const sorted = layoutSorted([...tensors].map(([name, tensor]) => ({ name, ...tensor })));
  const header = encodeHeader(sorted, metadata);
  const size = sorted.reduce((sum, tensor) => sum + tensor.bytes.byteLength, header.byteLength);
  const bytes = new Uint8Array(size);
  bytes.set(header);
  let at = header.byteLength;
  for (const tensor of sorted) {
    bytes.set(tensor.bytes, at);
    at += tensor.bytes.byteLength;
  }
  return bytes;
}
