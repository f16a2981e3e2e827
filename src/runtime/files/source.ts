/** Bytes at random access: a file in Node, a Blob of a page, memory. URLs are in `url.ts`. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { readError } from "./errors.ts";

export interface ByteSource {
  /** File name or URL, for messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, possibly shared with the source: not to be written to. Throws `FILE-TRUNCATED` when the range
   * is not inside the source, `FILE-READ` when it can't be read.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Throws `FILE-TRUNCATED` unless the range is inside `size` bytes; called before memory is allocated for it. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!inside || offset + length > size) throw truncated(name, `${offset} to ${offset + length}`, size);
}

function truncated(name: string, wanted: string, size: number): WebpeftError {
  return new WebpeftError("FILE-TRUNCATED", {
    message: "the file ends before the bytes that were asked for",
    where: name,
    expected: `bytes ${wanted}`,
    got: `${size} bytes`,
    help: "The file was cut off; download or copy it again.",
  });
}

export function bytesSource(name: string, data: Uint8Array | ArrayBuffer): ByteSource {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  return {
    name,
    size: bytes.byteLength,
    async read(offset, length) {
      checkRange(name, bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, length) {
      checkRange(name, blob.size, offset, length);
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        throw readError(error, name);
      }
    },
  };
}

/** Node reads at most 2 GiB at once. */
const largestRead = 2 ** 30;

/**
 * A file in Node. Each read opens the file anew, so that nothing has to be closed; a file that was replaced in between is
 * `FILE-CHANGED` rather than a mixture of two. Throws `FILE-NOT-FOUND`, `FILE-NOT-A-FILE`.
 */
export async function fileSource(path: string, name = path): Promise<ByteSource> {
  const { open, stat } = await import("node:fs/promises");
  const known = await stat(path).catch((error: unknown) => {
    throw readError(error, name);
  });
  if (!known.isFile()) {
    const got = known.isDirectory() ? "a folder" : "a pipe, a device or the like";
    throw new WebpeftError("FILE-NOT-A-FILE", { message: "a file was expected", where: name, got });
  }
  const size = known.size;
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    checkRange(name, size, offset, length);
    const handle = await open(path, "r");
    try {
      const now = await handle.stat();
      if (now.size !== size || now.mtimeMs !== known.mtimeMs || now.ino !== known.ino) throw changed(name);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, largestRead), offset + done);
        if (bytesRead === 0) throw truncated(name, `${offset} to ${offset + length}`, offset + done);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  };
  return {
    name,
    size,
    read: (offset, length) =>
      read(offset, length).catch((error: unknown) => {
        throw readError(error, name);
      }),
  };
}

function changed(name: string): WebpeftError {
  return new WebpeftError("FILE-CHANGED", {
    message: "the file was changed while it was in use",
    where: name,
    help: "Load it again, and let nothing else write to it meanwhile.",
  });
}
