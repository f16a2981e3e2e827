/**
 * Canonical form of a body: names by order of appearance, sizes and places of tensors as words of a uniform block, so that work that differs
 * in extents only is one kernel. Sizes that are equal because they are the same thing (the stride of a tensor along a variable) have one word;
 * every other has a word of its own, since that two are equal is chance.
 */

import { remembered } from "../../ir/remember.ts";
import type { Body } from "../schedule/body.ts";
import type { Expr, Statement } from "./kernel.ts";
import { statementRecordOf } from "./statements.ts";
import { mapExpr, mapStatements } from "./walk.ts";

/** What a word of the uniform block holds: a number, or the place of a tensor of the body. */
type Word =
  | {
      readonly kind: "size";
      readonly value: number;
      /** What the number is, where the body says it. */
      readonly name?: string;
    }
  | { readonly kind: "base"; readonly tensor: number };

export interface Canonical {
  readonly statements: readonly Statement[];
  /** What variables of the body are called. */
  readonly names: ReadonlyMap<string, string>;
  readonly words: readonly Word[];
}

/** Canonical forms of the bodies of a program. Bodies of units that are alike are one, and statements of one text are one list. */
export class Canonicals {
  private readonly known = new Map<readonly Statement[], Canonical>();
  private readonly texts = new Map<string, readonly Statement[]>();

  of({ statements: given }: Pick<Body, "statements">): Canonical {
    return remembered(this.known, given, () => {
      const { statements, odd, ...rest } = new Canonicalizer().run(given);
      return { statements: remembered(this.texts, JSON.stringify([odd, statements]), () => statements), ...rest };
    });
  }

  /** Forgets all but the forms of these bodies. */
  keep(bodies: ReadonlySet<readonly Statement[]>): void {
    for (const body of this.known.keys()) if (!bodies.has(body)) this.known.delete(body);
    const used = new Set([...this.known.values()].map(({ statements }) => statements));
    for (const [text, statements] of this.texts) if (!used.has(statements)) this.texts.delete(text);
  }
}

class Canonicalizer {
  private readonly words: Word[] = [];
  private readonly places = new Map<string, number>();
  private readonly names = new Map<string, string>();
  /** Words of literals: one that stands in several places of the text (all lanes of a vector) is one word. */
  private readonly literals = new Map<Expr, Expr>();
  private readonly counts = new Map<string, number>();
  /** Numbers that JSON has no words for, in order of appearance. */
  private readonly odd: string[] = [];

  run(body: readonly Statement[]): Canonical & { readonly odd: readonly string[] } {
    const statements = mapStatements(body, {
      expr: (e) => this.expr(e),
      name: (name, s) => (statementRecordOf(s).declares === true ? this.rename(name) : this.names.get(name)!),
    });
    return { statements, names: this.names, words: this.words, odd: this.odd };
  }

  private word(key: string, make: () => Word, type: "u32" | "i32" | "f32" = "u32"): Expr {
    return { kind: "size", index: remembered(this.places, key, () => this.words.push(make()) - 1), type };
  }

  private expr(e: Expr): Expr {
    return mapExpr(e, (x) => {
      const known = this.literals.get(x);
      if (known !== undefined) return known;
      if (x.kind === "base") return this.word(`base ${x.tensor}`, () => ({ kind: "base", tensor: x.tensor }));
      if (x.kind === "variable") return this.renamed(x);
      if (x.kind === "item") return { ...x, array: this.names.get(x.array)! };
      if (x.kind !== "literal") return x;
      if (!Number.isFinite(x.value) || Object.is(x.value, -0))
        this.odd.push(Object.is(x.value, -0) ? "-0" : `${x.value}`);
      if (x.size !== true) return x;
      const type = x.type === "bool" ? "u32" : x.type;
      const value = type === "f32" ? bitsOf(x.value) : x.value >>> 0;
      const { word: what } = x;
      const key = what === undefined ? `size ${this.words.length}` : `${what} = ${value}`;
      const name = (): { name?: string } => (what === undefined ? {} : { name: this.readable(what) });
      const word = this.word(key, () => ({ kind: "size", value, ...name() }), type);
      this.literals.set(x, word);
      return word;
    });
  }

  private renamed(x: Extract<Expr, { kind: "variable" }>): Expr {
    const name = this.names.get(x.name) ?? x.name;
    return name === x.name ? x : { ...x, name };
  }

  /** The name of a word with the names of the text in it: `~base2 along k000003` is how far apart elements of %t2 are along k1. */
  private readable(word: string): string {
    return word
      .replace(/^~base(\d+) along /, "%t$1 along ")
      .replace(/~([a-z]+)(#?\d+)$/, "$1")
      .replace(/\b([a-z]+)0*(\d+)$/, (key, prefix, digits) => this.names.get(`${prefix}${digits}`) ?? key);
  }

  private rename(from: string): string {
    const prefix = from.replace(/[0-9]+$/, "");
    const count = this.counts.get(prefix) ?? 0;
    this.counts.set(prefix, count + 1);
    this.names.set(from, `${prefix}${count}`);
    return `${prefix}${count}`;
  }
}

/** The bits of a number as f32. */
const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** FNV-1a of a text, eight hexadecimal digits: the tail of a kernel's name. */
export function textHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
