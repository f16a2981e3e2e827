/**
 * Writes statements: nested blocks, names, and what was computed already. A value is named in the outermost block where its operands are
 * known and found again from every block inside of it, so that loop-invariant work leaves the loop by itself.
 */

import { binary, type Expr, lanesOf, type Statement, sizeLiteral, u32 } from "../kernel/kernel.ts";
import type { Affine } from "./affine.ts";
import * as affine from "./affine.ts";

/** An expression and the depth of the innermost block that it needs. */
export interface Val {
  readonly expr: Expr;
  readonly depth: number;
}

export class BlockWriter {
  private readonly blocks: Statement[][] = [[]];
  private readonly memos: Map<string, Val>[] = [new Map()];
  /** What is known under a guard alone, outermost guard first. */
  private readonly guarded: Map<string, Val>[] = [];
  /** Whether divisors outside of loops are part of the text. */
  divides: "by words" | "by literals" = "by literals";
  /** By name: the node whose value a variable holds, of elements of it, or as far as it is summed up. */
  readonly held = new Map<string, number>();
  private names = 0;
  protected pads: readonly affine.Atom[] = [];

  get depth(): number {
    return this.blocks.length - 1;
  }

  get body(): Statement[] {
    return this.blocks[0]!;
  }

  push(statement: Statement): void {
    this.blocks.at(-1)!.push(statement);
  }

  /** A name that no other has, of a variable that may hold the value of a node. */
  fresh(prefix = "t", node?: number): string {
    const name = `${prefix}${this.names++}`;
    if (node !== undefined) this.held.set(name, node);
    return name;
  }

  /** Runs `make` in a new block and gives its statements. */
  block(make: () => void): Statement[] {
    this.blocks.push([]);
    this.memos.push(new Map());
    make();
    this.memos.pop();
    return this.blocks.pop()!;
  }

  /** `for (name = from; name < to; name += step)`; `make` gets the loop variable as an index in [0, extent). */
  loop(from: Expr, to: Expr, step: Expr, extent: number, make: (at: Affine) => void): void {
    const name = this.fresh("k");
    const body = this.block(() => {
      make(affine.variable(sortable(name), extent, { kind: "variable", name, type: "u32", lanes: 1 }, this.depth));
    });
    this.push({ kind: "for", name, from, to, step, body });
  }

  when(condition: Expr, make: () => void): void {
    this.push({ kind: "if", condition, body: this.block(make) });
  }

  /** Names a u32 expression, as an index in [0, extent). */
  index(expr: Expr, extent: number, family?: string): Affine {
    const { depth } = this;
    const bound = this.bind({ expr, depth }).expr;
    return affine.variable(sortable(bound.kind === "variable" ? bound.name : this.fresh("i")), extent, bound, depth, {
      family,
    });
  }

  /** The value, of a node perhaps, as a variable, declared in the block of its depth. */
  bind(value: Val, node?: number): Val {
    const { expr, depth } = value;
    if (expr.kind === "variable" || expr.kind === "literal") return value;
    const name = this.fresh("t", node);
    this.blocks[depth]!.push({ kind: "let", name, value: expr });
    return { expr: { kind: "variable", name, type: expr.type, lanes: lanesOf(expr) }, depth };
  }

  /** Tells the value of a node at an index: what a loop has reduced, what an accumulator holds. */
  preset(node: number, index: readonly Affine[], value: Val): void {
    this.memos.at(-1)!.set(memoKey(node, index), value);
  }

  protected recall(key: string): Val | undefined {
    for (let guard = this.guarded.length - 1; guard >= 0; guard--) {
      const found = this.guarded[guard]!.get(key);
      if (found !== undefined) return found;
    }
    for (let depth = this.depth; depth >= 0; depth--) {
      const found = this.memos[depth]!.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** `byRange`: it was made for no more than the range of its index, which guards narrow, so that it is forgotten with the innermost of them. */
  protected remember(key: string, value: Val, byRange = false): Val {
    const guarded = byRange ? this.guarded.at(-1) : undefined;
    (guarded ?? this.memos[value.depth]!).set(key, value);
    return value;
  }

  /** Runs `make` with indices that a guard has narrowed, if so: elsewhere the same index goes further, and what is made of it may be another value. */
  protected underGuard<T>(isNarrowed: boolean, make: () => T): T {
    if (!isNarrowed) return make();
    this.guarded.push(new Map());
    const made = make();
    this.guarded.pop();
    return made;
  }

  /** An address or index as a u32 expression; the part that outer blocks know is named there. */
  address(a: Affine): Val {
    const key = `@${affine.keyOf(a)}`;
    const before = this.recall(key);
    if (before !== undefined) return before;
    const elements = a.terms.filter((t) => affine.isElement(t.atom));
    if (elements.length > 0 && elements.length < a.terms.length) return this.remember(key, this.ofElement(a, elements));
    const depth = affine.depthOf(a);
    const inner = a.terms.filter((t) => t.atom.depth === depth);
    const outer = a.terms.filter((t) => t.atom.depth < depth);
    const word = wordOf(a);
    if (outer.length > 0) {
      const known = affine.withTerms(a, outer);
      const base = this.bind(this.address(known));
      this.remember(`@${affine.keyOf(known)}`, base);
      return this.remember(key, { expr: this.sum(inner, 0, word, base.expr), depth });
    }
    const made = { expr: this.sum(inner, a.constant, word), depth };
    return this.remember(key, a.terms.some((t) => t.atom.kind !== "variable") ? this.bind(made) : made);
  }

  /** The address of an element of a tile: that of the first one, which all share, and how far away it is. */
  private ofElement(a: Affine, elements: readonly affine.Term[]): Val {
    const others = a.terms.filter((t) => !elements.includes(t));
    const rest = affine.withTerms(a, others);
    const first = this.bind(this.address(rest));
    this.remember(`@${affine.keyOf(rest)}`, first);
    const word = wordOf(a);
    const away = elements.filter((t) => t.factor !== 0 && (t.atom as { element: number }).element !== 0);
    const expr = away.reduce((sum, { factor, atom }) => {
      const distance = this.distance(Math.abs(factor), atom, word);
      return binary(factor < 0 ? "-" : "+", sum, distance);
    }, first.expr);
    return { expr, depth: first.depth };
  }

  private distance(stride: number, atom: affine.Atom, word: WordName | undefined): Expr {
    const { element } = atom as { element: number };
    const length = sizeLiteral(stride, word?.(atom));
    if (element === 1) return length;
    const key = `%${atom.key}*${stride}${word?.(atom) ?? ""}`;
    const known = this.recall(key);
    return (known ?? this.remember(key, this.bind({ expr: binary("*", length, u32(element)), depth: 0 }))).expr;
  }

  private sum(terms: readonly affine.Term[], constantPart: number, word: WordName | undefined, base?: Expr): Expr {
    let sum = base;
    for (const { factor, atom } of terms) {
      const isStride = word !== undefined && this.divides === "by words";
      const isPlain = factor === 1 && !isStride && !this.pads.some((p) => p.key === atom.key);
      const length = sizeLiteral(Math.abs(factor), word?.(atom));
      const scaled = isPlain ? this.atom(atom) : binary("*", this.atom(atom), length);
      if (sum === undefined) sum = factor < 0 ? binary("-", u32(0), scaled) : scaled;
      else sum = binary(factor < 0 ? "-" : "+", sum, scaled);
    }
    if (sum === undefined) return sizeLiteral(constantPart);
    if (constantPart === 0) return sum;
    return binary(constantPart < 0 ? "-" : "+", sum, sizeLiteral(Math.abs(constantPart)));
  }

  private atom(atom: affine.Atom): Expr {
    if (atom.kind === "variable") return atom.expr;
    const key = `#${atom.key}`;
    const known = this.recall(key);
    if (known !== undefined) return known.expr;
    const of = this.address(atom.of).expr;
    // Outside of loops a division costs little; inside, and where it is most of the work, a literal divisor is far cheaper.
    const by = this.divides === "by words" && atom.depth < 2 ? sizeLiteral(atom.by) : u32(atom.by);
    const expr = binary(atom.kind === "div" ? "/" : "%", of, by);
    return this.remember(key, this.bind({ expr, depth: atom.depth })).expr;
  }
}

/** Names the word of the stride of a tensor along a variable. */
type WordName = (atom: affine.Atom) => string;

/** Addresses of one tensor share their strides; other sums have words of their own. */
function wordOf(a: Affine): WordName | undefined {
  const base = a.terms.find((t) => t.atom.kind === "variable" && t.atom.expr.kind === "base");
  if (base === undefined) return undefined;
  return (atom) => `${base.atom.key} along ${(atom.kind === "variable" && atom.family) || atom.key}`;
}

/** A name with its number in six digits, so that terms of sums are in order of creation. */
const sortable = (name: string): string => name.replace(/[0-9]+$/, (digits) => digits.padStart(6, "0"));

/** What a node at an index is remembered as. */
export function memoKey(node: number, index: readonly Affine[]): string {
  let key = `${node}`;
  for (let i = 0; i < index.length; i++) key += `|${affine.keyOf(index[i]!)}`;
  return key;
}
