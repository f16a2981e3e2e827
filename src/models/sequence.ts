/** What a stack of layers reads: tokens or an image, which of them are seen, and room for virtual tokens in front. */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { queriesAndKeys, unpadded, visibility, withOnes } from "./attention.ts";
import type { Unary } from "./layers.ts";
import { alongRows } from "./lowering.ts";
import { type BuildOptions, noVirtualTokens } from "./model.ts";
import type { Bound } from "./module.ts";
import { meanToken } from "./pooling.ts";
import type { Routes } from "./router.ts";
import type { SiteBuilder } from "./sites.ts";

/** How many ones of f32[b, s] stand up to each of its ones; 0 elsewhere. */
function runningCount(builder: Builder, ones: number): number {
  const length = builder.shape(ones)[1]!;
  const square = [length, length];
  const before = builder.cast(builder.compare("le", builder.iota(square, 1), builder.iota(square, 0)), "f32");
  return builder.mul(builder.einsum("bt,st->bs", ones, before), ones);
}

/** Learned positions, counted from `offset`: place by place, or over tokens alone that are no padding, as the mask says or the token that stands for it. */
export interface PositionSpec {
  readonly offset: number;
  readonly counted: boolean;
  readonly padToken?: number;
}

export class Sequence {
  readonly batch: number;
  /** Positions of the graph: virtual tokens, then the text. */
  readonly positions: number;
  /** Virtual keys in front of those of every attention: positions count from them. */
  readonly keys: number;
  /** Of every layer of experts that has been built, in their order. */
  readonly routes: Routes[] = [];
  private readonly tokens: number;
  private readonly mask: number | undefined;

  /** `content`: token ids i32[b, s], or pixels f32[b, channels, height, width] without a mask. */
  constructor(
    private readonly sites: SiteBuilder,
    private readonly options: BuildOptions,
    readonly content: number,
  ) {
    const { batch, length, mask, virtual: { tokens, keys } = noVirtualTokens } = options;
    this.batch = batch;
    this.positions = tokens + length;
    this.tokens = tokens;
    this.keys = keys;
    this.mask = mask ? withOnes(this.builder, this.port("attention_mask"), tokens) : undefined;
  }

  private port(name: string): number {
    const { batch, length } = this.options;
    return this.builder.port(name, "input", "i32", [batch, length]);
  }

  /** f32[batch, positions, width]: virtual tokens, then the rows of the table times `scale`. */
  embedded(table: Bound<Unary>, scale: number): number {
    const rows = this.sites.within(table.path, (builder) => builder.scale(table(this.content), scale));
    return this.sites.prompt(table.path, rows, this.tokens);
  }

  /** The type of every token, i32[batch, positions]; 0 of virtual ones. */
  types(): number {
    const given = this.port("token_type_ids");
    if (this.tokens === 0) return given;
    return this.builder.concat([this.builder.constant(0, [this.batch, this.tokens], "i32"), given], 1);
  }

  /** The number of every position, behind virtual keys: i32[positions], or i32[batch, positions] where padding is not counted. */
  numbers({ offset, counted, padToken }: PositionSpec): number {
    const { builder } = this;
    const real = counted ? this.counts(padToken) : undefined;
    if (real === undefined) {
      const places = builder.iota([this.positions], 0);
      const first = this.keys + offset;
      return first === 0 ? places : builder.plus(places, builder.constantLike(places, first));
    }
    const count = runningCount(builder, real);
    const own = builder.slice(count, [0, this.keys], [this.batch, this.keys + this.positions]);
    return builder.cast(builder.plus(own, builder.constantLike(own, offset - 1)), "i32");
  }

  /** One for every position that counts, virtual keys in front: f32[batch, keys + positions]; undefined where all do. Among virtual ones transformers looks for no padding by its id. */
  private counts(padToken: number | undefined): number | undefined {
    const { builder, mask, keys } = this;
    if (padToken === undefined)
      return mask === undefined ? undefined : builder.cast(withOnes(builder, mask, keys), "f32");
    if (this.tokens + keys > 0) return undefined;
    return builder.cast(builder.add("not", [this.is(padToken)]), "f32");
  }

  /** Every key's place among those that the mask shows, 0 where it shows none: f32[keys + positions], or f32[batch, keys + positions] with a mask. */
  keyPlaces(): number {
    const { builder, mask, keys } = this;
    if (mask === undefined) return builder.cast(builder.iota([keys + this.positions], 0), "f32");
    const real = builder.cast(withOnes(builder, mask, keys), "f32");
    return builder.sub(runningCount(builder, real), real);
  }

  /** Whether the model's file has a tensor. */
  hasStored(key: string): boolean {
    return this.options.stored?.(key) ?? true;
  }

  get builder(): Builder {
    return this.sites.builder;
  }

  /**
   * What x f32[batch, positions, width] holds at the last token of each row that is no padding, whatever the mask says; the first where all are:
   * f32[batch, width]. Throws `MODEL-FEATURE` for several rows of a model that has no token for padding.
   */
  lastReal(x: number, padToken: number | undefined): number {
    const { builder } = this;
    if (padToken === undefined && this.batch > 1)
      throw new WebpeftError("MODEL-FEATURE", {
        message: "rows of a batch cannot be told from their padding",
        where: "config.json: pad_token_id",
        expected: "a token that stands for padding, or a batch of one row",
        got: "none",
      });
    const places = this.places();
    if (padToken === undefined || this.tokens > 0)
      return this.rowsAt(x, builder.constantLike(places, this.positions - 1));
    const none = builder.constant(0, builder.shape(places));
    return this.rowsAt(x, this.lastOf(builder.select(this.is(padToken), none, builder.cast(places, "f32"))));
  }

  /** What x f32[batch, positions, width] holds where a token stands for the last time in each row of the text: f32[batch, width]; the first where it does not. */
  atLast(x: number, token: number): number {
    const { builder } = this;
    const places = this.places();
    const none = builder.constant(0, builder.shape(places));
    return this.rowsAt(x, this.lastOf(builder.select(this.is(token), builder.cast(places, "f32"), none)));
  }

  /** The number of every place: i32[batch, positions]. */
  private places(): number {
    return this.builder.iota([this.batch, this.positions], 1);
  }

  /** Where the text has a token: bool[batch, length]. */
  private is(token: number): number {
    return this.builder.compare("eq", this.content, this.builder.constantLike(this.content, token));
  }

  /** The largest of every row of places f32[batch, positions], for all of it: i32[batch, positions]. */
  private lastOf(places: number): number {
    return this.builder.cast(alongRows(this.builder, this.builder.max(places, [1]), this.positions), "i32");
  }

  /** Of x f32[batch, positions, width] the row of each sample at a place i32[batch, positions]: f32[batch, width]. */
  private rowsAt(x: number, place: number): number {
    const { builder } = this;
    const isPlace = builder.cast(builder.compare("eq", this.places(), place), "f32");
    return builder.einsum("bs,bsd->bd", isPlace, x);
  }

  /** Which keys a position sees that also sees what comes after it: virtual ones and those of unpadded tokens, `reach` places away at most; all where undefined. */
  seenBothWays(reach?: number): number | undefined {
    const real = this.unpadded();
    if (reach === undefined) return real;
    const { builder, positions, keys } = this;
    const [query, key] = queriesAndKeys(builder, positions, keys, "f32");
    const apart = builder.add("abs", [builder.sub(query, key)]);
    const near = builder.compare("le", apart, builder.constantLike(apart, reach));
    if (real === undefined) return near;
    return builder.compare("and", real, builder.broadcast(near, builder.shape(real), [1, 2]));
  }

  /** Keys that are no padding, virtual ones in front, from `queries` places: bool[b, queries, keys + positions]; undefined where all are. */
  unpadded(queries = this.positions): number | undefined {
    const { builder, mask, keys } = this;
    return mask === undefined ? undefined : unpadded(builder, withOnes(builder, mask, keys), queries);
  }

  /** The same, where padding sees nothing either. */
  seenWithoutPadding(): number | undefined {
    const real = this.unpadded();
    if (real === undefined) return undefined;
    return this.builder.compare("and", real, this.builder.transpose(real, [0, 2, 1]));
  }

  /** Every key: bool[positions, keys + positions]. */
  all(): number {
    const places = this.builder.iota([this.positions, this.keys + this.positions], 0);
    return this.builder.compare("le", places, places);
  }

  /** x f32[batch, positions, width] with zeros in the place of padding. */
  withoutPadding(x: number): number {
    const { builder, mask } = this;
    if (mask === undefined) return x;
    return builder.mul(x, builder.broadcast(builder.cast(mask, "f32"), builder.shape(x), [0, 1]));
  }

  /** The mean of x f32[batch, positions, width] over the tokens that are no padding: f32[batch, width]. */
  meanReal(x: number): number {
    return meanToken(this.builder, x, this.mask);
  }

  /** One for every position that is no padding, else zero: f32[batch positions]. */
  real(): number {
    const { builder, batch, positions } = this;
    const count = batch * positions;
    return this.mask === undefined
      ? builder.constant(1, [count])
      : builder.reshape(builder.cast(this.mask, "f32"), [count]);
  }

  /** Adds f32[] to the model's loss. */
  addLoss(loss: number): void {
    this.sites.losses.push(loss);
  }

  /** Which keys a position sees; see `visibility`. */
  seen(window?: number): number {
    return visibility(this.builder, this.positions, this.mask, window, this.keys);
  }
}
