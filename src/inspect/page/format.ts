/** Numbers, sizes and names as people read them. */

export { bytes, count, flops, percent, ratio, time } from "../numbers.ts";

/** A text that is too long ends in a mark of it. */
export const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

export const lastPart = (path: string): string => path.slice(path.lastIndexOf(".") + 1);

/** A path without what all of them begin with. */
export const shortPath = (path: string): string => path.replace(/^(base_model\.)?(model\.)+(?=.)/, "");

/** The path of the layer that a module is in: up to the first part that is a number. */
export const layerOf = (path: string): string => /^(?:.*?\.)?\d+(?=\.|$)/.exec(path)?.[0] ?? "";

export const plural = (n: number, word: string): string => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
