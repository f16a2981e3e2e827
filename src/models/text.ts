/** What a causal model reads: tokens, which of them are seen, and room for virtual tokens in front. */
import { visibility, withOnes } from "./attention.ts";
import type { Unary } from "./layers.ts";
import { type BuildOptions, noVirtualTokens } from "./model.ts";
import type { Bound } from "./module.ts";
import type { SiteBuilder } from "./sites.ts";

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

  /** f32[batch, positions, width]: virtual tokens, then the rows of the table. */
  embedded(table: Bound<Unary>): number {
    return this.sites.prompt(table.path, table(this.ids), this.tokens);
  }

  /** Which keys a position sees; see `visibility`. */
  seen(window?: number): number {
    return visibility(this.sites.builder, this.positions, this.mask, window, this.keys);
  }
}
