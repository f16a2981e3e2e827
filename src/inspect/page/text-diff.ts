/** Two texts line by line: what is equal, gone or new. */
import { h } from "./dom.ts";

export type DiffLine = readonly [sign: " " | "-" | "+", text: string];

/** Lengths of the longest common subsequences of what begins at each pair of places. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i]![j] = a[i] === b[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
  return lengths;
}

/** As few lines gone and new as there can be. */
export function lineDiff(a: readonly string[], b: readonly string[]): DiffLine[] {
  const lengths = commonLengths(a, b);
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push([" ", a[i]!]);
      i++;
      j++;
    } else if (j === b.length || (i < a.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) {
      lines.push(["-", a[i]!]);
      i++;
    } else {
      lines.push(["+", b[j]!]);
      j++;
    }
  }
  return lines;
}

const context = 3;

/** The lines, equal ones only near to others: the rest is a line that says how many they are. */
export function diffView(label: string, lines: readonly DiffLine[]): HTMLElement {
  const isNear = (at: number): boolean =>
    lines.slice(Math.max(0, at - context), at + context + 1).some(([s]) => s !== " ");
  const shown: HTMLElement[] = [];
  let left = 0;
  const skip = (): void => {
    if (left > 0) shown.push(h("span", { class: "line-left-out" }, `  … ${left} equal\n`));
    left = 0;
  };
  lines.forEach(([sign, text], at) => {
    if (sign === " " && !isNear(at)) left++;
    else {
      skip();
      const kind = sign === "-" ? "line-before" : sign === "+" ? "line-after" : "";
      shown.push(h("span", { class: kind }, `${sign} ${text}\n`));
    }
  });
  skip();
  return h("pre", { class: "diff", tabindex: 0, "aria-label": label }, ...shown);
}
