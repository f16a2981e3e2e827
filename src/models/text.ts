/** What a causal model reads: tokens, which of them are seen, and room for virtual tokens in front. */
import type { Builder } from "../ir/builder.ts";
import { visibility, withOnes } from "./attention.ts";
import type { Unary } from "./layers.ts";
import { type BuildOptions, noVirtualTokens } from "./model.ts";
import type { Bound } from "./module.ts";
import type { SiteBuilder } from "./sites.ts";

/** How many ones of f32[b, s] stand up to each of its ones; 0 elsewhere. */
export function runningCount(builder: Builder, ones: number): number {
  const length = builder.shape(ones)[1]!;
  const square = [length, length];
  const before = builder.cast(builder.compare("le", builder.iota(square, 1), builder.iota(square, 0)), "f32");
  return builder.mul(builder.einsum("bt,st->bs", ones, before), ones);
}

export class Text {
  readonly batch: number;
  /** Positions of the graph: virtual tokens, then the text. */
  readonly positions: number;
  /** Virtual keys in front of those of every attention: positions count from them. */
  readonly keys: number;
  private readonly tokens: number;
  private readonly ids: number;
  private readonly mask: number | undefined;

  constructor(
    private readonly sites: SiteBuilder,
    { batch, length, mask, virtual: { tokens, keys } = noVirtualTokens }: BuildOptions,
  ) {
    const { builder } = sites;
    this.batch = batch;
    this.positions = tokens + length;
    this.tokens = tokens;
    this.keys = keys;
    this.ids = builder.port("input_ids", "input", "i32", [batch, length]);
    const given = mask ? builder.port("attention_mask", "input", "i32", [batch, length]) : undefined;
    this.mask = given === undefined ? undefined : withOnes(builder, given, tokens);
  }

  /** f32[batch, positions, width]: virtual tokens, then the rows of the table times `scale`. */
  embedded(table: Bound<Unary>, scale: number): number {
    const rows = this.sites.within(table.path, (builder) => builder.scale(table(this.ids), scale));
    return this.sites.prompt(table.path, rows, this.tokens);
  }

  /** The number of every position, behind virtual keys: i32[positions], or i32[batch, positions] where padding is not counted. */
  numbers({ offset, counted }: { readonly offset: number; readonly counted: boolean }): number {
    const { builder } = this.sites;
    if (!counted || this.mask === undefined) {
      const places = builder.iota([this.positions], 0);
      const first = this.keys + offset;
      return first === 0 ? places : builder.plus(places, builder.constantLike(places, first));
    }
    const real = builder.cast(withOnes(builder, this.mask, this.keys), "f32");
    const count = runningCount(builder, real);
    const own = builder.slice(count, [0, this.keys], [this.batch, this.keys + this.positions]);
    return builder.cast(builder.plus(own, builder.constantLike(own, offset - 1)), "i32");
  }

  /** Which keys a position sees; see `visibility`. */
  seen(window?: number): number {
    return visibility(this.sites.builder, this.positions, this.mask, window, this.keys);
  }
}
