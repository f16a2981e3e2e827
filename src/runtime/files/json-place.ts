/** Where a text stops being JSON. Engines differ in what their errors say of it, and mostly say nothing. */

/** The position of the quote that ends the string which begins at `begin`; the end of the text without one. */
export function endOfString(text: string, begin: number): number {
  let at = begin + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

const plain = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
const space = /[ \t\n\r]*/y;

/** What a token is: `s` a string, `v` another value without parts, else itself. */
type Kind = "s" | "v" | "{" | "}" | "[" | "]" | ":" | ",";

function tokenAt(text: string, at: number): { readonly kind: Kind; readonly end: number } | undefined {
  const character = text[at]!;
  if ("{}[]:,".includes(character)) return { kind: character as Kind, end: at + 1 };
  if (character === '"') {
    const end = endOfString(text, at) + 1;
    return isJson(text.slice(at, end)) ? { kind: "s", end } : undefined;
  }
  plain.lastIndex = at;
  return plain.test(text) ? { kind: "v", end: plain.lastIndex } : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const values = "sv{[";

/** The kinds that may stand behind one, in what is open; `key`: the string before is a key. */
function next(before: Kind | "key" | undefined, open: "{" | "[" | undefined): string {
  switch (before) {
    case undefined:
    case ":":
      return values;
    case "key":
      return ":";
    case "{":
      return "s}";
    case "[":
      return `${values}]`;
    case ",":
      return open === "{" ? "s" : values;
    default:
      return open === undefined ? "" : `,${open === "{" ? "}" : "]"}`;
  }
}

/** The offset of the first token that does not belong there; the length of a text that only ends too early. */
function firstFault(text: string): number {
  const open: ("{" | "[")[] = [];
  let before: Kind | "key" | undefined;
  for (let at = 0; ; ) {
    space.lastIndex = at;
    space.test(text);
    at = space.lastIndex;
    const token = at < text.length ? tokenAt(text, at) : undefined;
    if (token === undefined || !next(before, open.at(-1)).includes(token.kind)) return at;
    const { kind } = token;
    const isKey = kind === "s" && open.at(-1) === "{" && before !== ":";
    if (kind === "{" || kind === "[") open.push(kind);
    if (kind === "}" || kind === "]") open.pop();
    before = isKey ? "key" : kind;
    at = token.end;
  }
}

/** `file:line:column` of it; `first` is the line of the file with which the text begins. */
export function jsonPlace(file: string, text: string, first = 1): string {
  const before = text.slice(0, firstFault(text)).split(/\r\n|\r|\n/);
  return `${file}:${before.length + first - 1}:${before.at(-1)!.length + 1}`;
}
