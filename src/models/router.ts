/**
 * Who goes to which expert, as tensors of fixed extents: the tokens that an expert takes stand one behind the other in tiles of rows, each tile
 * of one expert, so that its work is one contraction with a weight that is looked up for every tile. An expert fills its last tile in part;
 * what is left of it, and tiles that nobody needs, are rows of zeros.
 */
import type { Builder } from "../ir/builder.ts";
import { alongRows } from "./lowering.ts";

export interface RouterSpec {
  readonly experts: number;
  /** Experts that a token goes to. */
  readonly taken: number;
  /** Whether the weights of those sum to one. */
  readonly normalised: boolean;
}

export interface Routes {
  /** f32[n, experts]. */
  readonly probabilities: number;
  /** One where a token goes to an expert: f32[n, experts]. */
  readonly chosen: number;
  /** Of every token's choices, the likeliest first: f32[n, taken]. */
  readonly weights: number;
  /** Its row among those of all tiles: i32[n, taken]. */
  readonly places: number;
  /** The expert of every tile: i32[tiles]. */
  readonly owners: number;
  /** The choice that stands in a row, counted token by token; their number where none does: i32[tiles, rows]. */
  readonly choices: number;
}

/** Rows of a tile, and how many tiles there are at most. Tiles hold about as many rows as an expert has: at most half of all are empty. */
export function tilesFor(choices: number, experts: number): { readonly rows: number; readonly tiles: number } {
  const each = Math.max(1, Math.floor(choices / experts));
  const rows = Math.min(mostRows, 2 ** Math.floor(Math.log2(each)));
  const used = Math.min(experts, choices);
  return { rows, tiles: used + Math.floor((choices - used) / rows) };
}

/** Longer tiles read weights less often; these are as long as those of the kernels. */
const mostRows = 32;

/** The routes of tokens in rows of `length`, by their router's logits f32[n, experts]. Equal ones are taken in order. */
export function route(builder: Builder, logits: number, length: number, spec: RouterSpec): Routes {
  const { experts, taken, normalised } = spec;
  const [tokens] = builder.shape(logits) as [number];
  const probabilities = builder.add("softmax", [logits]);
  const ranks = ranksOf(builder, probabilities);
  const isChosen = builder.compare("lt", ranks, builder.constantLike(ranks, taken));
  const chosen = builder.cast(isChosen, "f32");
  const { rows, tiles } = tilesFor(tokens * taken, experts);
  const before = takenBefore(builder, chosen, length);
  const full = builder.add("floor", [builder.scale(shifted(builder, builder.sum(chosen, [0]), rows - 1), 1 / rows)]);
  const ends = running(builder, full);
  const starts = builder.sub(ends, full);

  const wide = [tokens, taken, experts];
  const isTheir = builder.compare(
    "eq",
    builder.broadcast(ranks, wide, [0, 2]),
    builder.cast(builder.iota(wide, 1), "f32"),
  );
  const ofChoice = (values: number): number => {
    const all = builder.broadcast(values, wide, [0, 2]);
    return builder.sum(builder.select(isTheir, all, builder.zerosLike(all)), [2]);
  };
  const places = ofChoice(builder.plus(before, builder.scale(starts, rows)));
  const shares = ofChoice(probabilities);
  const weights = normalised ? builder.div(shares, alongRows(builder, builder.sum(shares, [1]), taken)) : shares;

  const numbers = builder.cast(builder.iota([tiles, experts], 0), "f32");
  const isBehind = builder.compare("le", builder.broadcast(ends, [tiles, experts], [1]), numbers);
  const owner = builder.sum(builder.cast(isBehind, "f32"), [1]);
  const owners = builder.cast(builder.add("minimum", [owner, builder.constantLike(owner, experts - 1)]), "i32");
  const queue = builder.select(isChosen, before, builder.constantLike(before, -1));
  const choice = builder.plus(ranks, builder.scale(builder.cast(builder.iota([tokens, experts], 0), "f32"), taken));
  const choices = rowsOf(builder, { rows, owners, starts, queue, choice, none: tokens * taken });
  return { probabilities, chosen, weights, places: builder.cast(places, "i32"), owners, choices };
}

const shifted = (builder: Builder, x: number, by: number): number => builder.plus(x, builder.constantLike(x, by));

/** How many experts are likelier than each: f32[n, experts]. */
function ranksOf(builder: Builder, probabilities: number): number {
  const [tokens, experts] = builder.shape(probabilities) as [number, number];
  const pairs = [tokens, experts, experts];
  const own = builder.broadcast(probabilities, pairs, [0, 1]);
  const other = builder.broadcast(probabilities, pairs, [0, 2]);
  const isEarlier = builder.compare("lt", builder.iota(pairs, 2), builder.iota(pairs, 1));
  const isAhead = builder.select(isEarlier, builder.compare("le", own, other), builder.compare("lt", own, other));
  return builder.sum(builder.cast(isAhead, "f32"), [2]);
}

/** Ones where the second index is below the first: f32[n, n]; with `inclusive` also where they are equal. */
function below(builder: Builder, extent: number, inclusive = false): number {
  const [row, column] = [builder.iota([extent, extent], 0), builder.iota([extent, extent], 1)];
  return builder.cast(builder.compare(inclusive ? "le" : "lt", column, row), "f32");
}

/** Sums of f32[n] up to each place and with it. */
const running = (builder: Builder, x: number): number =>
  builder.einsum("ij,j->i", below(builder, builder.shape(x)[0]!, true), x);

/** How many tokens before each go to an expert: f32[n, experts]; counted row by row of `length`, then over rows. */
function takenBefore(builder: Builder, chosen: number, length: number): number {
  const [tokens, experts] = builder.shape(chosen) as [number, number];
  const batch = tokens / length;
  const rows = builder.reshape(chosen, [batch, length, experts]);
  const inRow = builder.einsum("st,bte->bse", below(builder, length), rows);
  const rowsBefore = builder.einsum("bc,ce->be", below(builder, batch), builder.sum(rows, [1]));
  const all = builder.plus(inRow, builder.broadcast(rowsBefore, [batch, length, experts], [0, 2]));
  return builder.reshape(all, [tokens, experts]);
}

interface Queues {
  readonly rows: number;
  readonly owners: number;
  /** First tile of every expert: f32[experts]. */
  readonly starts: number;
  /** Place of a token among those of an expert, -1 where it goes elsewhere, and the choice that it is: f32[n, experts]. */
  readonly queue: number;
  readonly choice: number;
  /** For rows that nobody stands in. */
  readonly none: number;
}

/** The choice in every row: every tile looks its own up among those of its expert. */
function rowsOf(builder: Builder, { rows, owners, starts, queue, choice, none }: Queues): number {
  const [tiles, tokens] = [builder.shape(owners)[0]!, builder.shape(queue)[0]!];
  const numbers = builder.cast(builder.iota([tiles], 0), "f32");
  const first = builder.scale(builder.sub(numbers, builder.add("gather", [starts, owners])), rows);
  const all = [tiles, rows, tokens];
  const ofTile = (values: number): number =>
    builder.broadcast(builder.add("gather", [builder.transpose(values, [1, 0]), owners]), all, [0, 2]);
  const wanted = builder.plus(
    builder.broadcast(first, [tiles, rows], [0]),
    builder.cast(builder.iota([tiles, rows], 1), "f32"),
  );
  const isHere = builder.compare("eq", ofTile(queue), builder.broadcast(wanted, all, [0, 1]));
  const known = shifted(builder, ofTile(choice), -none);
  const found = builder.sum(builder.select(isHere, known, builder.zerosLike(known)), [2]);
  return builder.cast(shifted(builder, found, none), "i32");
}
