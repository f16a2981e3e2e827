/**
 * Python's regular expressions, as far as target patterns use them, parsed into a tree. Not supported, with an error of
 * its own: back references, conditional and atomic groups, possessive quantifiers, inline flags after the start.
 */

/** A set of UTF-16 code units as ranges, both ends included. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [number, number])[];
  readonly negated: boolean;
}

export type Anchor = "start" | "end" | "end-or-newline" | "line-start" | "line-end" | "word" | "not-word";

export type RegexNode =
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "sequence"; readonly items: readonly RegexNode[] }
  | { readonly kind: "choice"; readonly items: readonly RegexNode[] }
  | {
      readonly kind: "repeat";
      readonly item: RegexNode;
      readonly minimum: number;
      readonly maximum: number;
      readonly lazy: boolean;
    }
  | { readonly kind: "capture"; readonly item: RegexNode; readonly index: number }
  | { readonly kind: "anchor"; readonly anchor: Anchor }
  | { readonly kind: "look"; readonly item: RegexNode; readonly behind: boolean; readonly negated: boolean };

export interface ParsedRegex {
  readonly root: RegexNode;
  /** Number of capture groups. */
  readonly groups: number;
  readonly ignoreCase: boolean;
}

/** What is wrong with a pattern and at which character. */
export class RegexSyntaxError extends Error {
  constructor(
    message: string,
    readonly position: number,
  ) {
    super(message);
    this.name = "RegexSyntaxError";
  }
}

const maximumDepth = 100;
const maximumRepeat = 1000;
const digit: readonly [number, number][] = [[48, 57]];
const wordCharacters: readonly [number, number][] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const space: readonly [number, number][] = [
  [9, 13],
  [28, 32],
  [133, 133],
  [160, 160],
];
const classEscapes: Readonly<Record<string, readonly [number, number][]>> = { d: digit, w: wordCharacters, s: space };
const controlEscapes: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 };
const anchorEscapes: Readonly<Record<string, Anchor>> = { A: "start", Z: "end", b: "word", B: "not-word" };
const everything: CharacterSet = { ranges: [], negated: true };

const single = (code: number): RegexNode => ({ kind: "set", set: { ranges: [[code, code]], negated: false } });

/** The ranges that are not in `ranges` (which are sorted and disjoint). */
function complement(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const result: [number, number][] = [];
  let next = 0;
  for (const [low, high] of ranges) {
    if (low > next) result.push([next, low - 1]);
    next = high + 1;
  }
  return [...result, [next, 0xffff]];
}

/** Parses a pattern. Throws RegexSyntaxError. */
export function parseRegex(source: string): ParsedRegex {
  return new RegexParser(source).parse();
}

class RegexParser {
  private at = 0;
  private groups = 0;
  private depth = 0;
  private flags = "";
  private readonly names = new Set<string>();

  constructor(private readonly source: string) {}

  parse(): ParsedRegex {
    const flags = /^\(\?([ims]+)\)/.exec(this.source);
    if (flags) {
      this.flags = flags[1]!;
      this.at = flags[0].length;
    }
    const root = this.choice();
    if (this.at < this.source.length) this.fail("unbalanced parenthesis");
    return { root, groups: this.groups, ignoreCase: this.flags.includes("i") };
  }

  private fail(message: string): never {
    throw new RegexSyntaxError(message, this.at);
  }

  private take(text: string): boolean {
    if (!this.source.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  private choice(): RegexNode {
    if (++this.depth > maximumDepth) this.fail("groups are nested too deeply");
    const items = [this.sequence()];
    while (this.take("|")) items.push(this.sequence());
    this.depth--;
    return items.length === 1 ? items[0]! : { kind: "choice", items };
  }

  private sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.at < this.source.length && this.source[this.at] !== "|" && this.source[this.at] !== ")") {
      items.push(this.quantified(this.atom()));
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  private quantified(item: RegexNode): RegexNode {
    const range = this.quantifier();
    if (range === undefined) return item;
    if (item.kind === "anchor") this.fail("an anchor cannot be repeated");
    const [minimum, maximum] = range;
    if (this.take("+")) this.fail("possessive quantifiers are not supported");
    const lazy = this.take("?");
    if (this.quantifier() !== undefined) this.fail("multiple repeat");
    return { kind: "repeat", item, minimum, maximum, lazy };
  }

  private quantifier(): [number, number] | undefined {
    if (this.take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.take("?")) return [0, 1];
    // Braces that are no quantifier are ordinary characters in Python.
    const braces = /^\{(?:(\d+)(,(\d*))?|,(\d*))\}/.exec(this.source.slice(this.at, this.at + 24));
    if (!braces) return undefined;
    const [text, exact, comma, upper, upperAlone] = braces;
    const bound = upper ?? upperAlone ?? "";
    const minimum = Number(exact ?? 0);
    const maximum =
      exact !== undefined && comma === undefined ? minimum : bound === "" ? Number.POSITIVE_INFINITY : Number(bound);
    if (minimum > maximum) this.fail("min repeat greater than max repeat");
    if (minimum > maximumRepeat || (maximum > maximumRepeat && maximum !== Number.POSITIVE_INFINITY)) {
      this.fail(`a repeat count is above ${maximumRepeat}`);
    }
    this.at += text.length;
    return [minimum, maximum];
  }

  private atom(): RegexNode {
    const character = this.source[this.at]!;
    if ("*+?".includes(character)) this.fail("nothing to repeat");
    if (this.quantifierAhead()) this.fail("nothing to repeat");
    this.at++;
    if (character === "(") return this.group();
    if (character === "[") return { kind: "set", set: this.characterClass() };
    if (character === "\\") return this.escape();
    if (character === ".")
      return { kind: "set", set: this.flags.includes("s") ? everything : { ranges: [[10, 10]], negated: true } };
    const multiline = this.flags.includes("m");
    if (character === "^") return { kind: "anchor", anchor: multiline ? "line-start" : "start" };
    if (character === "$") return { kind: "anchor", anchor: multiline ? "line-end" : "end-or-newline" };
    return single(character.charCodeAt(0));
  }

  private quantifierAhead(): boolean {
    const before = this.at;
    const found = this.source[before] === "{" && this.quantifier() !== undefined;
    this.at = before;
    return found;
  }

  private group(): RegexNode {
    const node = this.groupBody();
    if (!this.take(")")) this.fail("missing ), unterminated subpattern");
    return node;
  }

  private groupBody(): RegexNode {
    if (!this.take("?")) return this.capture();
    if (this.take(":")) return this.choice();
    for (const [mark, behind, negated] of [
      ["=", false, false],
      ["!", false, true],
      ["<=", true, false],
      ["<!", true, true],
    ] as const) {
      if (this.take(mark)) return { kind: "look", item: this.choice(), behind, negated };
    }
    if (this.take("#")) {
      while (this.at < this.source.length && this.source[this.at] !== ")") this.at++;
      return { kind: "sequence", items: [] };
    }
    const name = /^P<([A-Za-z_]\w*)>/.exec(this.source.slice(this.at));
    if (!name) this.fail("this kind of group is not supported");
    if (this.names.has(name[1]!)) this.fail(`redefinition of group name '${name[1]}'`);
    this.names.add(name[1]!);
    this.at += name[0].length;
    return this.capture();
  }

  private capture(): RegexNode {
    const index = ++this.groups;
    return { kind: "capture", item: this.choice(), index };
  }

  private escape(): RegexNode {
    const letter = this.source[this.at];
    if (letter === undefined) this.fail("bad escape (end of pattern)");
    if (Object.hasOwn(anchorEscapes, letter)) {
      this.at++;
      return { kind: "anchor", anchor: anchorEscapes[letter]! };
    }
    if (/[1-9]/.test(letter)) this.fail("back references are not supported");
    const ranges = this.escapedRanges();
    return { kind: "set", set: { ranges, negated: false } };
  }

  /** What a backslash stands for, outside and inside of brackets; `at` is on the character after the backslash. */
  private escapedRanges(): readonly (readonly [number, number])[] {
    const letter = this.source[this.at++];
    if (letter === undefined) this.fail("bad escape (end of pattern)");
    const lower = letter.toLowerCase();
    if (Object.hasOwn(classEscapes, lower)) {
      const ranges = classEscapes[lower]!;
      return letter === lower ? ranges : complement(ranges);
    }
    const control = Object.hasOwn(controlEscapes, letter) ? controlEscapes[letter]! : undefined;
    if (control !== undefined) return [[control, control]];
    const digits = letter === "x" ? 2 : letter === "u" ? 4 : 0;
    if (digits > 0) {
      const code = this.source.slice(this.at, this.at + digits);
      if (!/^[0-9a-fA-F]+$/.test(code) || code.length < digits) this.fail(`incomplete escape \\${letter}`);
      this.at += digits;
      return [[Number.parseInt(code, 16), Number.parseInt(code, 16)]];
    }
    if (letter === "0") return [[0, 0]];
    if (/[A-Za-z0-9]/.test(letter)) this.fail(`bad escape \\${letter}`);
    return [[letter.charCodeAt(0), letter.charCodeAt(0)]];
  }

  private characterClass(): CharacterSet {
    const negated = this.take("^");
    const ranges: (readonly [number, number])[] = [];
    for (let first = true; first || this.source[this.at] !== "]"; first = false) {
      if (this.at >= this.source.length) this.fail("unterminated character set");
      const low = this.classMember();
      if (this.source[this.at] !== "-" || this.at + 1 >= this.source.length || this.source[this.at + 1] === "]") {
        ranges.push(...low);
        continue;
      }
      this.at++;
      const high = this.classMember();
      if (!isSingle(low) || !isSingle(high) || low[0]![0] > high[0]![0]) this.fail("bad character range");
      ranges.push([low[0]![0], high[0]![0]]);
    }
    this.at++;
    return { ranges, negated };
  }

  private classMember(): readonly (readonly [number, number])[] {
    const character = this.source[this.at++]!;
    if (character !== "\\") return [[character.charCodeAt(0), character.charCodeAt(0)]];
    if (this.source[this.at] !== "b") return this.escapedRanges();
    this.at++;
    return [[8, 8]];
  }
}

const isSingle = (ranges: readonly (readonly [number, number])[]): boolean =>
  ranges.length === 1 && ranges[0]![0] === ranges[0]![1];
