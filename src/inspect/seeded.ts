/** Numbers that a kernel is tried on by itself: of the place alone, so that no file has to hold them. */

export type SeededType = "f32" | "i32" | "bool" | "bf16" | "f16";

/** The word of 32 bits at a place: eighths from 1/8 to 1, which all types have, two in a word where they are packed; integers and truths are 0 or 1. */
export function seededWord(dtype: SeededType, at: number): number {
  // 1/8, 2/8, ... 1 as f16.
  const halves = [0x3000, 0x3400, 0x3600, 0x3800, 0x3900, 0x3a00, 0x3b00, 0x3c00];
  let hash = Math.imul(at + 1, 0x9e3779b1) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
  hash = (hash ^ (hash >>> 13)) >>> 0;
  if (dtype === "i32" || dtype === "bool") return hash & 1;
  const eighths = [hash & 7, (hash >>> 8) & 7] as const;
  if (dtype === "f16") return (halves[eighths[0]]! | (halves[eighths[1]]! << 16)) >>> 0;
  const bits = eighths.map((n) => new Uint32Array(Float32Array.of((n + 1) / 8).buffer)[0]!) as [number, number];
  return dtype === "f32" ? bits[0] : ((bits[0] >>> 16) | (bits[1] & 0xffff0000)) >>> 0;
}
