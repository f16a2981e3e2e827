/** What the names of a fragment mean at one site: declarations, config fields, and the words that the site itself provides. */

import type { Builder } from "../../ir/builder.ts";
import type { Code } from "../../ir/codes/index.ts";
import { type DiagnosticFields, WebpeftError } from "../../ir/diagnostics.ts";
import { remembered } from "../../ir/remember.ts";
import type { FieldValue } from "../fields.ts";
import { keyAt, type Site } from "../site.ts";
import type { InputItem, Item, MethodAst, Place, SiteBlock, TensorItem } from "./ast.ts";
import { type BaseFacts, type ElaborationInput, type SiteOperands, unknownBase } from "./elaboration-types.ts";
import { limitError, limits } from "./limits.ts";
import { Notes } from "./notes.ts";
import { Room } from "./room.ts";
import { hint } from "./suggest.ts";
import { absent, describe, operatorValue, tensorValue, type Value } from "./value.ts";
import { itemsOf } from "./walk.ts";
import { siteNames } from "./words.ts";

/** What holds for the whole model. */
export interface ModelScope extends Omit<ElaborationInput, "sink"> {
  readonly method: MethodAst;
  readonly base: BaseFacts;
  readonly present: ReadonlySet<string>;
  /** What graphs of the adapter take from outside. */
  readonly notes: Notes;
  /** By site that is like another one: that one's scope, where the numbers of its constants are worked out for both. */
  readonly still: (site: Site) => Scope | undefined;
  /** What the adapter's tensors may take together. */
  readonly room: Room;
}

/** `still`: see `ModelScope`. */
export const modelScope = (
  method: MethodAst,
  input: Omit<ElaborationInput, "sink">,
  still: ModelScope["still"] = () => undefined,
): ModelScope => {
  const { base = unknownBase, present = new Set(Object.keys(input.fields)) } = input;
  return { ...input, base, present, method, still, notes: new Notes(), room: new Room(base.elements) };
};

/** What is there when graph nodes are built; absent while shapes and conditions are worked out. What a kind of site lacks is absent too. */
export interface BuildScope extends Partial<SiteOperands> {
  readonly builder: Builder;
  /** What each of the experts adds to the weight of this site; undefined for those that leave it. */
  readonly experts?: () => readonly (number | undefined)[];
  /** The tensor's node: a port, or its initial value in the program that makes a fresh adapter. */
  readonly tensor: (item: TensorItem) => number;
}

/** How a tensor of a family is called. */
export const memberName = (family: string, number: unknown): string => `${family}[${String(number)}]`;

type Declarations = ReadonlyMap<string, Item>;

const declared = new WeakMap<MethodAst, Map<SiteBlock | undefined, Declarations>>();

/** Named items of the method and of one block; the block's win. One map for all sites. */
export const declarations = (method: MethodAst, block?: SiteBlock): Declarations =>
  remembered(
    remembered(declared, method, () => new Map<SiteBlock | undefined, Declarations>()),
    block,
    () => {
      const named = itemsOf(method, [block]).filter((item) => "name" in item && item.kind !== "target");
      return new Map(named.map((item): [string, Item] => [(item as { name: string }).name, item]));
    },
  );

/** Names that hold in a loop. */
type Locals = ReadonlyMap<string, Value>;
export const noLocals: Locals = new Map();

export class Scope {
  readonly declared: Declarations;
  private readonly memo = new Map<string, Value | "pending">();
  private ofModel: Scope | undefined;
  private steps = 0;
  private waiting = 0;
  /** See `inTurn`. */
  turn = 0;
  locals: Locals = noLocals;

  constructor(
    readonly model: ModelScope,
    readonly block?: SiteBlock,
    readonly site?: Site,
    readonly build?: BuildScope,
  ) {
    this.declared = declarations(model.method, block);
  }

  /** Items of the method, then those of the block. */
  get items(): readonly Item[] {
    return itemsOf(this.model.method, [this.block]);
  }

  /** The scope of the whole model, in which no site is known. */
  get whole(): Scope {
    if (this.site === undefined) return this;
    this.ofModel ??= new Scope(this.model, undefined, undefined, this.build);
    return this.ofModel;
  }

  /** The scope where constants are worked out: before any tensor exists, once for sites that are alike. */
  get still(): Scope {
    const still = this.site === undefined ? undefined : this.model.still(this.site);
    return still ?? this;
  }

  isFamily(name: string): boolean {
    return [...this.declared.keys()].some((known) => known.startsWith(`${name}[`));
  }

  /** Works something out in a turn of a loop, whose number keeps the draws of the turns apart, with the names that hold inside of it. */
  inTurn<T>(turn: number, locals: Locals, work: () => T): T {
    const before = [this.turn, this.locals] as const;
    [this.turn, this.locals] = [turn, locals];
    try {
      return work();
    } finally {
      [this.turn, this.locals] = before;
    }
  }

  error(code: Code, at: Place, fields: Omit<DiagnosticFields, "where">): WebpeftError {
    const site = this.site === undefined ? "" : ` at ${this.site.path}`;
    return new WebpeftError(code, { ...fields, where: `${this.model.method.file}:${at.line}:${at.column}${site}` });
  }

  /** METHOD-TYPE: what a value is not. */
  misfit(at: Place, message: string, value: Value, expected?: string, help?: string): WebpeftError {
    return this.error("METHOD-TYPE", at, { message, expected, got: describe(value, this.build?.builder), help });
  }

  /** METHOD-LIMIT. */
  limit(at: Place, what: string, limit: number): WebpeftError {
    return limitError(this.model.method.file, what, limit, at);
  }

  siteOrFail(at: Place = this.model.method.at): Site {
    if (this.site !== undefined) return this.site;
    throw this.error("METHOD-STATIC", at, {
      message: "This is worked out once per model, and no site is known there.",
      help: "Use sites.max.in and sites.max.out for tensors that all sites share.",
    });
  }

  builderOrFail(at: Place): Builder {
    return this.buildOrFail(at).builder;
  }

  buildOrFail(at: Place): BuildScope {
    if (this.build !== undefined) return this.build;
    throw this.error("METHOD-STATIC", at, {
      message: "Shapes, conditions, keys and constants are worked out before any tensor exists.",
      expected: "numbers, config fields and functions of them",
      got: "a tensor or operator",
    });
  }

  /** Tokens of a row; throws METHOD-STATIC at sites that do not know. */
  lengthOrFail(at: Place = this.model.method.at): number {
    const { length } = this.buildOrFail(at);
    if (length !== undefined) return length;
    throw this.error("METHOD-STATIC", at, {
      message: "The tokens of a row are known on prompt sites only.",
      got: `a site of kind ${this.siteOrFail(at).kind}`,
    });
  }

  /** Numbers of the tokens or samples; where weights are merged the one that holds for all, in a buffer that the merging is given. */
  batchInput({ name, option, per }: InputItem, at: Place): number {
    const { builder, samples } = this.buildOrFail(at);
    if (per !== undefined) return builder.port(name, "input", "i32", [samples ?? 1, this.lengthOrFail(at)]);
    // One number for all adapters that are in use together, as the batch's is.
    return samples === undefined
      ? builder.unprefixed(() => builder.port(option!, "buffer", "i32", [1]))
      : builder.port(name, "input", "i32", [samples]);
  }

  /** Turns that a loop may have, and tensors that a family may have. */
  get mostTurns(): number {
    return Math.max(limits.turns, this.model.sites.length);
  }

  /** Called before an expression is worked out, and `leave` behind it. Throws METHOD-LIMIT. */
  enter(at: Place): void {
    if (++this.steps > limits.steps) throw this.limit(at, "too many expressions at one site", limits.steps);
    if (++this.waiting > limits.waiting)
      throw this.limit(at, "too many expressions wait for each other", limits.waiting);
  }

  leave(): void {
    this.waiting--;
  }

  /** Key in the adapter's file of a tensor of this site. */
  siteKey(end: string): string {
    return keyAt(this.siteOrFail(), end);
  }

  /** The value of `name`, worked out once; `make` may come back here, but not for the same name. */
  once(name: string, at: Place, make: () => Value): Value {
    const before = this.memo.get(name);
    if (before === "pending") {
      const pending = [...this.memo].flatMap(([key, value]) => (value === "pending" ? [key] : []));
      const cycle = [...pending.slice(pending.indexOf(name)), name];
      throw this.error("METHOD-CYCLE", at, { message: `${name} is defined by itself.`, got: cycle.join(" <- ") });
    }
    if (before !== undefined) return before;
    this.memo.set(name, "pending");
    const value = make();
    this.memo.set(name, value);
    return value;
  }

  field(name: string): FieldValue | undefined {
    return this.site?.fields[name] ?? this.model.fields[name];
  }

  /** W, W0 and b of the site, or gain, gain0 and b of a norm, or what an attention provides. */
  siteWeight(name: string, at: Place): Value | undefined {
    const names = siteNames[this.block?.siteKind ?? ""];
    if (names === undefined) return undefined;
    if (names.words?.includes(name)) return this.buildOrFail(at).words?.get(name);
    const part = (["weight", "base", "bias"] as const).find((one) => names[one] === name);
    if (part === undefined) return undefined;
    const { [part]: id } = this.buildOrFail(at);
    if (id === undefined) return absent;
    return names.form === "operator" && part !== "bias" ? operatorValue(id) : tensorValue(id);
  }
}

/** What names mean at a site. Throws METHOD-SITE where the method has nothing for its kind. */
export function siteScope(model: ModelScope, site: Site, build?: BuildScope): Scope {
  const { name, blocks, at } = model.method;
  const block = blocks.find(({ siteKind, from }) => siteKind === site.kind && from === site.from);
  if (block !== undefined) return new Scope(model, block, site, build);
  const kinds = blocks.filter(({ from }) => from === site.from).map(({ siteKind }) => siteKind);
  throw new Scope(model, undefined, site).error("METHOD-SITE", at, {
    ...{ message: `${name} cannot change a site of kind ${site.kind}.`, expected: kinds.join(" or "), got: site.kind },
    help: hint(site.kind, kinds) ?? "Leave the module out of target_modules.",
  });
}
