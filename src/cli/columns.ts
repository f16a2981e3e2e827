/** Tables as text. */

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
