/**
 * Identity of graphs: the SHA-256 (FIPS 180-4) of the canonical text. Written out here because the platform's own digest is asynchronous.
 */
import type { Graph } from "./graph.ts";
import { printGraph } from "./text/print.ts";

/** 64 hexadecimal digits. Graphs with equal text have equal hashes, and the other way round; `from` is not part of it. */
export function hashGraph(graph: Graph): string {
  return sha256(printGraph(graph));
}

/** First `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((p) => n % p !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of the fractional part. */
const fractionBits = (x: number): number => ((x - Math.floor(x)) * 2 ** 32) | 0;

const rotateRight = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

/** The bytes with the end mark and the length in bits, as big-endian words in blocks of 16. */
function paddedWords(bytes: Uint8Array): Int32Array {
  const words = new Int32Array((((bytes.length + 8) >>> 6) + 1) * 16);
  bytes.forEach((byte, i) => {
    words[i >> 2]! |= byte << (24 - (i & 3) * 8);
  });
  words[bytes.length >> 2]! |= 0x80 << (24 - (bytes.length & 3) * 8);
  words[words.length - 2] = Math.floor(bytes.length / 2 ** 29);
  words[words.length - 1] = bytes.length << 3;
  return words;
}

function compress(state: Int32Array, schedule: Int32Array, constants: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const [x, y] = [schedule[i - 15]!, schedule[i - 2]!];
    const low = rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3);
    const high = rotateRight(y, 17) ^ rotateRight(y, 19) ^ (y >>> 10);
    schedule[i] = (schedule[i - 16]! + low + schedule[i - 7]! + high) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const mixE = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
    const t1 = (h + mixE + ((e & f) ^ (~e & g)) + constants[i]! + schedule[i]!) | 0;
    const mixA = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
    const t2 = (mixA + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => {
    state[i] = (state[i]! + value) | 0;
  });
}

/** SHA-256 of a text in UTF-8, as 64 hexadecimal digits. */
export function sha256(text: string): string {
  const seeds = primes(64);
  const constants = Int32Array.from(seeds, (p) => fractionBits(Math.cbrt(p)));
  const state = Int32Array.from(seeds.slice(0, 8), (p) => fractionBits(Math.sqrt(p)));
  const words = paddedWords(new TextEncoder().encode(text));
  const schedule = new Int32Array(64);
  for (let block = 0; block < words.length; block += 16) {
    schedule.set(words.subarray(block, block + 16));
    compress(state, schedule, constants);
  }
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
