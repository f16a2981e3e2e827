/**
 * Bytes behind a URL: in ranges where the server gives them, else downloaded whole once. Servers of single-page apps answer every path that
 * they do not know with a web page and status 200; no file of a model is one, so a page stands for a file that is not there.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type ByteSource, bytesSource, checkRange } from "./source.ts";

export interface UrlOptions {
  readonly signal?: AbortSignal;
  /** Bytes of a whole download so far; `total` is the server's word, 0 where it gives none. */
  readonly onDownload?: (loaded: number, total: number) => void;
  /** Told when a web page came instead of the file. */
  readonly onPage?: () => void;
}

/** Enough to see what a file begins with. */
const firstBytes = 64;

/** Whether bytes begin as a web page does; `type` is the server's word for what it sent. */
function isPage(bytes: Uint8Array, type: string | null): boolean {
  const begin = new TextDecoder().decode(bytes.subarray(0, firstBytes)).trimStart();
  return (
    /^<(!doctype html|html|head|body)\b/i.test(begin) || (/\btext\/html\b/i.test(type ?? "") && begin.startsWith("<"))
  );
}

/**
 * Opens a URL, or gives undefined where the server says there is nothing (404, 410) or sends a web page. One request finds out whether the server gives
 * ranges; if not, its answer already is the whole file. Throws `FILE-FETCH`.
 */
export async function urlSource(url: string, options: UrlOptions = {}): Promise<ByteSource | undefined> {
  const response = await request(url, { Range: `bytes=0-${firstBytes - 1}` }, options.signal);
  if (response.status === 404 || response.status === 410) {
    await response.body?.cancel();
    return undefined;
  }
  const type = response.headers.get("content-type");
  const file = (bytes: Uint8Array, source: () => ByteSource): ByteSource | undefined => {
    if (!isPage(bytes, type)) return source();
    options.onPage?.();
    return undefined;
  };
  // An empty file has no first byte to ask for: 416 with `bytes */0`.
  if (response.status === 416 && response.headers.get("content-range")?.endsWith("/0")) {
    await response.body?.cancel();
    return bytesSource(url, new Uint8Array(0));
  }
  if (!response.ok) throw fetchError(url, `status ${response.status}`);
  const size = response.status === 206 ? rangeTotal(response) : undefined;
  if (size !== undefined) {
    const begin = await beginning(url, response, options.signal);
    return file(begin, () => rangeSource(url, size, options.signal));
  }
  if (response.status !== 206) {
    const bytes = await download(url, response, options);
    return file(bytes, () => bytesSource(url, bytes));
  }
  // A range whose total the page may not see (cross-origin header not exposed): ask for everything.
  await response.body?.cancel();
  const whole = await request(url, {}, options.signal);
  if (!whole.ok) throw fetchError(url, `status ${whole.status}`);
  const bytes = await download(url, whole, options);
  return file(bytes, () => bytesSource(url, bytes));
}

function rangeSource(url: string, size: number, signal: AbortSignal | undefined): ByteSource {
  return {
    name: url,
    size,
    async read(offset, length) {
      checkRange(url, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const response = await request(url, { Range: `bytes=${offset}-${offset + length - 1}` }, signal);
      const same = response.status === 206 && rangeTotal(response) === size;
      if (!same) {
        await response.body?.cancel();
        throw fetchError(url, `status ${response.status}, ${response.headers.get("content-range") ?? "no range"}`);
      }
      const bytes = await download(url, response, { signal }, length);
      if (bytes.byteLength !== length) throw fetchError(url, `${bytes.byteLength} of ${length} bytes`);
      return bytes;
    },
  };
}

async function request(url: string, headers: HeadersInit, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, { headers, ...(signal && { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    throw fetchError(url, causesOf(error), error);
  }
}

/** The total of `Content-Range: bytes 0-0/1234`. */
function rangeTotal(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}

/** Collects a body as it comes; memory grows with what arrives, not with what the server claims. */
async function download(
  url: string,
  response: Response,
  options: { signal?: AbortSignal | undefined; onDownload?: UrlOptions["onDownload"] },
  limit = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const total = Number(response.headers.get("content-length") ?? 0);
  const chunks: Uint8Array[] = [];
  let loaded = 0;
  try {
    for (const reader = response.body?.getReader(); reader; ) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      loaded += value.byteLength;
      options.onDownload?.(loaded, total);
      if (loaded <= limit) continue;
      await reader.cancel();
      break;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw fetchError(url, causesOf(error), error);
  }
  if (loaded > limit) throw fetchError(url, `more than the ${limit} bytes asked for`);
  const bytes = new Uint8Array(loaded);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** What a body begins with; the rest is not waited for. */
async function beginning(url: string, response: Response, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const begin = new Uint8Array(firstBytes);
  let loaded = 0;
  try {
    for (const reader = response.body?.getReader(); reader && loaded < firstBytes; ) {
      const { done, value } = await reader.read();
      if (!done) begin.set(value.subarray(0, firstBytes - loaded), loaded);
      loaded += done ? firstBytes : value.byteLength;
      if (loaded >= firstBytes) await reader.cancel();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fetchError(url, causesOf(error), error);
  }
  return begin;
}

/** What went wrong, and why: `fetch` itself only says that it failed. */
function causesOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${causesOf(error.cause)}`;
}

function fetchError(url: string, got: string, cause?: unknown): WebpeftError {
  return new WebpeftError("FILE-FETCH", { message: "a file can't be downloaded", where: url, got }, { cause });
}
