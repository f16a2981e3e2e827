/** Bytes of text files. Text is UTF-8, and anything else is refused rather than read as something that it is not. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ByteSource } from "./source.ts";

/** Text files of models are a few megabytes, a tokenizer may be 30; engines have strings up to about this. */
const largestText = 500 * 2 ** 20;

/** The text of a whole file; `at` says where a line is. Throws `FILE-TOO-LARGE`, `FILE-NOT-UTF8`. */
export async function readWholeText(source: ByteSource, at: (line: number) => string): Promise<string> {
  if (source.size < largestText) return decodeText(await source.read(0, source.size), at);
  throw new WebpeftError("FILE-TOO-LARGE", {
    message: "a text file is too large",
    where: source.name,
    expected: `less than ${largestText} bytes`,
    got: `${source.size} bytes`,
  });
}

const lineFeed = 10;

/** The text of a file, without a byte order mark of UTF-8. `at` says where a line is. Throws `FILE-NOT-UTF8` with the first line that is not. */
function decodeText(bytes: Uint8Array, at: (line: number) => string): string {
  const other = otherEncoding(bytes);
  if (other !== undefined) throw notUtf8(at(1), other);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const { line, shown } = firstBadLine(bytes);
    throw notUtf8(at(line), shown, cause);
  }
}

function notUtf8(where: string, got: string, cause?: unknown): WebpeftError {
  return new WebpeftError(
    "FILE-NOT-UTF8",
    {
      message: "a text file is not UTF-8",
      where,
      expected: "UTF-8",
      got,
      help: "Save it again as UTF-8, or copy it again if it was cut off; if it is no text (weights, an archive), name the file that was meant.",
    },
    { cause },
  );
}

/** UTF-16 and UTF-32 by their byte order marks or, without one, by the zeros that they have beside Latin letters. */
function otherEncoding(bytes: Uint8Array): string | undefined {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return "a byte order mark of UTF-16 or UTF-32";
  const start = bytes.subarray(0, 4096);
  const zeros = start.reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  return zeros * 4 > start.length ? "zeros between the letters, as UTF-16 has them" : undefined;
}

/** The first line that does not decode, and its beginning with a mark at every wrong byte. No character of UTF-8 has a line feed in it. */
function firstBadLine(bytes: Uint8Array): { line: number; shown: string } {
  const [strict, lenient] = [new TextDecoder("utf-8", { fatal: true }), new TextDecoder()];
  for (let start = 0, line = 1; ; line++) {
    const feed = bytes.indexOf(lineFeed, start);
    const end = feed < 0 ? bytes.length : feed;
    const text = bytes.subarray(start, end);
    try {
      strict.decode(text);
    } catch {
      return { line, shown: JSON.stringify(lenient.decode(text).slice(0, 80)) };
    }
    if (feed < 0) return { line, shown: "bytes of another encoding" };
    start = end + 1;
  }
}

/** Whether a text holds half of a surrogate pair: JSON can write such a thing (`"\ud83d"`), and no encoding has it. */
export const hasLoneSurrogate = (text: string): boolean => /\p{Surrogate}/u.test(text);
