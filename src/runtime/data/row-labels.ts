/** Labels of lines: a class, numbers that logits are to be near, or the classes of which several hold at once. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModelHead } from "../../models/model.ts";

/** What the labels of lines may be. */
export interface RowLabels {
  readonly head: ModelHead;
  /** Names of the classes in their order. */
  readonly names: readonly string[];
}

interface LabelPlace extends RowLabels {
  readonly where: string;
}

export const lineFault = (
  message: string,
  where: string,
  expected: string,
  got: unknown,
  help?: string,
): WebpeftError =>
  new WebpeftError("DATA-LINE", {
    ...{ message, where, expected, got: (JSON.stringify(got) ?? "nothing").slice(0, 80) },
    ...(help === undefined ? {} : { help }),
  });

/** A class by its number or its name. */
export function classOf(one: unknown, { head: { classes }, names, where }: LabelPlace): number {
  const index = typeof one === "string" ? names.indexOf(one) : one;
  if (Number.isSafeInteger(index) && (index as number) >= 0 && (index as number) < classes) return index as number;
  throw lineFault(
    "the label is no class of the model",
    where,
    `0 to ${classes - 1}, or one of ${names.join(", ")}`,
    one,
  );
}

const isFlag = (x: unknown): x is number => typeof x === "number" && x >= 0 && x <= 1;

/**
 * A flag for every class: of those that a list names, or of a list of the flags themselves. Of three classes and more no list is both; one that
 * is, such as [0, 1] for two classes, is refused.
 */
function flagsOf(value: unknown, line: LabelPlace): number[] {
  const { head, names, where } = line;
  const { classes } = head;
  const wanted = `a list of the classes that hold, each once: names or numbers, [] for none; or ${classes} numbers, 1 for every class that holds and 0 for the others`;
  if (!Array.isArray(value)) throw lineFault("the label is no list of classes", where, wanted, value);
  const list: readonly unknown[] = value;
  const flags = list.length === classes && list.every(isFlag) ? list : undefined;
  const canBeClasses =
    new Set(list).size === list.length && list.every((x) => Number.isInteger(x) && (x as number) < classes);
  if (flags !== undefined && !canBeClasses) return [...flags];
  const held = list.map((one) => classOf(one, line));
  if (flags !== undefined) {
    const named = (places: readonly number[]) => JSON.stringify(places.map((place) => names[place] ?? place));
    const asFlags = flags.flatMap((flag, i) => (flag === 1 ? [i] : []));
    const ways = `names: ${named(held)} where these are numbers of classes, ${named(asFlags)} where 1 is for a class that holds`;
    throw lineFault("the label can be read in two ways", where, ways, value);
  }
  if (new Set(held).size < held.length) throw lineFault("the label names a class twice", where, wanted, value);
  return Array.from({ length: classes }, (_unused, i) => (held.includes(i) ? 1 : 0));
}

function numbersOf(value: unknown, { head: { classes }, where }: LabelPlace): number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === classes && list.every(Number.isFinite)) return list as number[];
  if (classes === 1) throw lineFault("the label is no number", where, "one number", value);
  const wanted = `a list of ${classes} numbers`;
  if (!Array.isArray(value)) throw lineFault("the label is no list of numbers", where, wanted, value);
  throw lineFault("the label is not of as many numbers as the model gives", where, wanted, value);
}

/** The numbers of the label of a row. */
export function labelOf(value: unknown, line: LabelPlace): readonly number[] {
  const { labels } = line.head;
  if (labels === "flags") return flagsOf(value, line);
  return labels === "numbers" ? numbersOf(value, line) : [classOf(value, line)];
}
