/** Reads tokens one after the other, and says what does not fit: where, what was expected, what stands there, and how it is written. */
import type { Diagnostic } from "../diagnostics.ts";
import type { Place } from "./syntax.ts";
import type { Token } from "./tokens.ts";

/** Thrown to leave what is read; the fault has been noted. */
class Misread extends Error {}

const labels: Readonly<Record<Token["kind"], string>> = {
  ...{
    keyword: "a keyword",
    word: "a word",
    value: "a value such as %0 or %x",
    number: "a number",
    string: "a string",
  },
  ...{ sign: "a sign", comment: "a comment", end: "the end of the text" },
};

/** What is read, and how it is written. */
const forms = {
  function: "write func @name(parameters) { statements return name = %value }",
  parameter: 'write %x: f32[4,12] input, or %0: f32[4,12] weight "its.name"',
  statement: "write %2 = op %0, %1 {attribute: 1} : f32[4]; every value states its type",
  return: "write return name = %0, other = %1",
  type: "write f32[4,12], f32[] for a scalar, or op[12,4] for an operator",
  "list of attributes": 'write {axis: 1, shape: [2, 3], spec: "mk,nk->mn"}',
};

export type Form = keyof typeof forms;

export class Reader {
  readonly faults: Diagnostic[] = [];
  private place = 0;
  private reading: Form = "function";

  constructor(
    private readonly tokens: readonly Token[],
    private readonly where: (place: Place) => string,
  ) {}

  get next(): Token {
    return this.tokens[this.place]!;
  }

  get after(): Token {
    return this.tokens[this.place + 1] ?? this.next;
  }

  /** The line where the last token stands. */
  get endLine(): number {
    return this.tokens[this.place - 1]?.line ?? 1;
  }

  /** Runs `body`; faults say that it reads a `form`. */
  as<T>(form: Form, body: () => T): T {
    const before = this.reading;
    this.reading = form;
    const made = body();
    this.reading = before;
    return made;
  }

  /** Whether a sign or keyword comes next. */
  sees(image: string): boolean {
    const { next } = this;
    return next.image === image && (next.kind === "sign" || next.kind === "keyword");
  }

  is(...kinds: readonly Token["kind"][]): boolean {
    return kinds.includes(this.next.kind);
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== "end") this.place++;
    return token;
  }

  expect(image: string): Token {
    return this.sees(image) ? this.take() : this.fail(`"${image}"`);
  }

  /** A token of one of some kinds. */
  of(...kinds: readonly Token["kind"][]): Token {
    return this.is(...kinds) ? this.take() : this.fail(kinds.map((kind) => labels[kind]).join(" or "));
  }

  /** `read`, and again behind every comma. */
  several<T>(read: () => T): T[] {
    const made = [read()];
    while (this.sees(",")) {
      this.take();
      made.push(read());
    }
    return made;
  }

  /** `open`, any number of what `read` reads with commas between, `close`. */
  listIn<T>(open: string, close: string, read: () => T): T[] {
    this.expect(open);
    const made = this.sees(close) ? [] : this.several(read);
    this.expect(close);
    return made;
  }

  /** Notes a fault at the next token. What is missing at the end of a text that has faults is missing because of them. */
  fail(expected: string): never {
    const { kind, image } = this.next;
    const isEnd = kind === "end";
    if (!isEnd || this.faults.length === 0)
      this.faults.push({
        ...{ code: "IR-TEXT-SYNTAX", severity: "error", message: `this does not fit into a ${this.reading}` },
        ...{ where: this.where(this.next), expected, got: isEnd ? labels.end : JSON.stringify(image) },
        help: forms[this.reading],
      });
    throw new Misread();
  }

  /** What `read` reads; where that has a fault, undefined, and what lies before the next place that `mayGoOn` is passed over. */
  recovering<T>(read: () => T, mayGoOn: () => boolean): T | undefined {
    const before = this.reading;
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Misread)) throw error;
      this.reading = before;
      while (!this.is("end") && !mayGoOn()) this.take();
      return undefined;
    }
  }
}
