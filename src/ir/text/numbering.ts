/** Which place in the graph every value of a text has; the rule stands in `print.ts`. */
import type { GraphSyntax, Report, Spelled } from "./syntax.ts";

const isNumber = (value: Spelled): boolean => /^\d/.test(value.text);

/** Ids by what the text calls the values. Anything reported leaves the ids unusable. */
export function numberValues({ parameters, statements }: GraphSyntax, report: Report): ReadonlyMap<string, number> {
  const called = parameters.map((p) => p.value);
  const named = called.filter((value) => !isNumber(value));
  const numbered = called.filter(isNumber);
  const made = statements.map((s) => s.value);
  checkStatements(made, report);

  const fromZero = numbered.length === 0 && made.every((value, i) => value.text === String(i));
  const shift = fromZero ? named.length : 0;
  const ids = new Map<string, number>();
  const place = (value: Spelled, id: number): void => {
    if (ids.has(value.text)) report("VALUE", value, { message: "two values are called so", got: `%${value.text}` });
    ids.set(value.text, id);
  };
  for (const value of [...numbered, ...made])
    place(value, numberOf(value, called.length + made.length, report) + shift);
  const taken = new Set(ids.values());
  let next = 0;
  for (const value of named) {
    while (taken.has(next)) next++;
    place(value, next++);
  }
  return ids;
}

function numberOf(value: Spelled, count: number, report: Report): number {
  const number = Number(value.text);
  const plain = String(number) === value.text;
  if (isNumber(value) && (!plain || number >= count)) {
    const expected = `numbers from 0 to ${count - 1}, without leading zeros, one for each value`;
    report("VALUE", value, { message: "this is no number of a value", expected, got: `%${value.text}` });
  }
  return number;
}

function checkStatements(made: readonly Spelled[], report: Report): void {
  let before = -1;
  for (const value of made) {
    const got = `%${value.text}`;
    if (!isNumber(value)) {
      report("VALUE", value, {
        message: "what a statement makes has a number, not a name",
        expected: "%0, %1 ...",
        got,
      });
    } else if (Number(value.text) < before) {
      report("VALUE", value, {
        message: "statements are numbered in increasing order",
        expected: `above %${before}`,
        got,
      });
    } else before = Number(value.text);
  }
}
