/** Tables and figures as text. */

/** Three digits and a prefix: `34.6 M`, `1.2 kB`. */
export const count = (n: number, unit: string): string => {
  const [size, prefix] = n >= 1e9 ? [1e9, "G"] : n >= 1e6 ? [1e6, "M"] : n >= 1e3 ? [1e3, "k"] : [1, ""];
  return `${Number((n / size).toPrecision(3))} ${prefix}${unit}`;
};

/** Rows below their headings, in columns; those of `numbers` end at the same place. */
export function columns(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly number[],
): string {
  const all = [headings, ...rows];
  const widths = headings.map((_heading, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((text, i) => (numbers.includes(i) ? text.padStart(widths[i]!) : text.padEnd(widths[i]!))).join("  ");
  return `${all.map((row) => line(row).trimEnd()).join("\n")}\n`;
}
