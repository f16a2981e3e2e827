/** Reads tokens one after the other, and says what does not fit: where, what was expected, what stands there, and a hint. */
import type { Diagnostic } from "../../ir/diagnostics.ts";
import type { Place } from "./ast.ts";
import { foreignHelp, targetMeant } from "./helps.ts";
import { nearest } from "./suggest.ts";
import { type Foreign, type Token, unquoted } from "./tokens.ts";

/** Thrown to leave a statement; the fault has been noted. */
export class Misread extends Error {}

const labels: Readonly<Record<string, string>> = {
  name: "a name",
  target: "a target such as W'",
  number: "a number",
  text: "a text in double quotes",
  end: "the end of the text",
};

const shown = ({ kind, image }: Token): string => (kind === "end" ? "the end of the text" : JSON.stringify(image));

/** Whether a place is behind another one in its line: what does not read behind a character that means nothing does not read because of it. */
const isBehind = (at: Place, other: Place): boolean => at.line === other.line && at.column > other.column;

export class Reader {
  readonly faults: Diagnostic[];
  /** Calls and tensors seen so far in the text. */
  calls = 0;
  tensors = 0;
  private place = 0;
  /** What is read, for messages. */
  private reading = "a method";

  /** `statements`: words that a statement begins with. */
  constructor(
    private readonly tokens: readonly Token[],
    private readonly foreign: readonly Foreign[],
    private readonly file: string,
    private readonly statements: readonly string[],
  ) {
    this.faults = foreign.map(({ text, at }) => ({
      ...{ code: "METHOD-SYNTAX", severity: "error", message: "This character has no meaning in a fragment." },
      ...{ where: `${file}:${at.line}:${at.column}`, got: JSON.stringify(text.slice(0, 20)), help: foreignHelp(text) },
    }));
  }

  get next(): Token {
    return this.tokens[this.place]!;
  }

  get after(): Token {
    return this.tokens[this.place + 1] ?? this.next;
  }

  get previous(): Token | undefined {
    return this.tokens[this.place - 1];
  }

  get atEnd(): boolean {
    return this.next.kind === "end";
  }

  /** Runs `body`; faults say that it reads `what`. */
  as<T>(what: string, body: () => T): T {
    const before = this.reading;
    this.reading = what;
    const made = body();
    this.reading = before;
    return made;
  }

  /** Whether a word or sign comes next. */
  sees(...images: readonly string[]): boolean {
    const { kind, image } = this.next;
    return (kind === "word" || kind === "sign") && images.includes(image);
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== "end") this.place++;
    return token;
  }

  /** The word or sign, if it comes next. */
  accept(...images: readonly string[]): Token | undefined {
    return this.sees(...images) ? this.take() : undefined;
  }

  /** One of some words or signs. */
  expect(...images: readonly string[]): Token {
    return this.accept(...images) ?? this.fail(images.map((image) => `"${image}"`).join(" or "));
  }

  of(kind: Token["kind"]): Token {
    return this.next.kind === kind ? this.take() : this.fail(labels[kind]!);
  }

  name(): string {
    return this.of("name").image;
  }

  text(): string {
    return unquoted(this.of("text").image);
  }

  /** Whether a word or sign came next; it is read. */
  flag(image: string): boolean {
    return this.accept(image) !== undefined;
  }

  /** What stands behind a word, where that word comes next. */
  behind<T>(word: string, read: () => T): T | undefined {
    return this.accept(word) === undefined ? undefined : read();
  }

  /** `read`, and again behind every comma. */
  several<T>(read: () => T): T[] {
    const made = [read()];
    while (this.accept(",") !== undefined) made.push(read());
    return made;
  }

  /** `open`, any number of what `read` reads with commas between, `close`. */
  listIn<T>(open: string, close: string, read: () => T): T[] {
    this.expect(open);
    const made = this.sees(close) ? [] : this.several(read);
    this.expect(close);
    return made;
  }

  /** Notes a fault at the next token. */
  note(expected: string): void {
    if (!this.atEnd && this.foreign.some((one) => isBehind(this.next.at, one.at))) return;
    const message = `The fragment does not read as ${this.reading}.`;
    this.faults.push({
      ...{ code: "METHOD-SYNTAX", severity: "error", message, where: this.where() },
      ...{ expected, got: shown(this.next), help: this.hint(expected) },
    });
  }

  fail(expected: string): never {
    this.note(expected);
    throw new Misread();
  }

  /** What `read` reads of a statement; a statement with a fault is passed over, with all in its braces. */
  statement<T>(read: () => T[]): T[] {
    const before = this.reading;
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Misread)) throw error;
      this.reading = before;
      this.passOver();
      return [];
    }
  }

  private passOver(): void {
    for (let depth = 0; !this.atEnd && (depth > 0 || !this.sees("}")); ) {
      const { image } = this.take();
      if (image === "{") depth++;
      if (image === "}") depth--;
      if (depth === 0 && (image === ";" || image === "}")) return;
    }
  }

  /** The next token; the end of the text is where the last token ends. */
  private where(): string {
    const { previous, next } = this;
    const at = this.atEnd && previous !== undefined ? previous.at : next.at;
    return `${this.file}:${at.line}:${at.column + (at === next.at ? 0 : previous!.image.length)}`;
  }

  private hint(expected: string): string | undefined {
    const { next, previous, reading } = this;
    const target = targetMeant(next.image, this.after.image);
    if (reading === bodyOfBlock && target !== undefined) return `write ${target}' = ${target} + ...;`;
    if (previous?.kind === "target" && expected === '"="')
      return `write ${previous.image} = ${previous.image.slice(0, -1)} + ...;`;
    const near = next.kind === "name" ? nearest(next.image, this.statements) : undefined;
    if (reading === bodyOfBlock && next.kind === "name")
      return near === undefined ? "a name is given a value by let, param or const" : `did you mean ${near}?`;
    if (expected === '";"')
      return `every statement ends with a semicolon${near === undefined ? "" : `; did you mean ${near}?`}`;
    if (reading === "a method" && previous?.kind === "name") return "a method is: method name on linear { ... }";
    return undefined;
  }
}

export const bodyOfBlock = "the body of a block";
