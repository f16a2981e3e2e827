/** Values as Python prints them, because callers of PEFT match on the texts of its errors. */

/** `repr()` of a JSON value. */
export function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "string") return reprOfString(value);
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(", ")}]`;
  if (typeof value !== "object") return String(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${reprOfString(key)}: ${pythonRepr(item)}`)
    .join(", ")}}`;
}

function reprOfString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** `str()` of a field that is a regex or a set of names (sorted here; Python's order is arbitrary). */
export function pythonTargets(targets: string | readonly string[] | null): string {
  if (targets === null || typeof targets === "string") return targets ?? "None";
  return targets.length === 0 ? "set()" : `{${sorted(targets).map(pythonRepr).join(", ")}}`;
}

/** `str()` of any other value: strings stand without quotes. */
export const pythonStr = (value: unknown): string => (typeof value === "string" ? value : pythonRepr(value));

/** A copy without duplicates, sorted by code units. */
export const sorted = (names: readonly string[]): string[] =>
  [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

/** A value for the `got` line of an error: JSON, cut where it gets long. */
export function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
