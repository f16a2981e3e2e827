/** The attention of a layer: queries in groups that share a head of keys and values, from layers of their own or from a joint one. */
import type { Builder } from "../ir/builder.ts";
import { attend } from "./attention.ts";
import { attentionEntry, linear, norm, rowsNorm, type Unary } from "./layers.ts";
import { cast, list, type Module, maybe, type Place } from "./module.ts";
import { type RopeTables, rotate } from "./rope.ts";
import { type SharedScores, scoreParts, scoresOf } from "./scores.ts";
import type { Sequence } from "./sequence.ts";
import type { Layer } from "./sites.ts";
import type { AttentionSpec } from "./spec.ts";

/** What a layer reads beside the stream. */
export interface LayerInput {
  readonly sequence: Sequence;
  /** Which keys a position sees in this layer; all unless given. */
  readonly seen: number | undefined;
  readonly ropes: Readonly<Record<string, RopeTables>>;
  readonly shared: SharedScores;
  /** What an encoder made, of which keys and values of the attention to it are. */
  readonly memory?: Memory | undefined;
}

export interface Memory {
  readonly stream: number;
  readonly seen: number | undefined;
}

/** From the stream to what is added to it, by keys and values that are of the stream unless given. */
export type AttentionLayer = (x: number, input: LayerInput, memory?: Memory) => number;

/** Queries, keys or values of a joint layer. */
type Part = "query" | "key" | "value";

/** Elements of one part along an axis of the joint layer's output, in the order that a layer of its own would have. */
function partOf(builder: Builder, joint: number, part: Part, spec: AttentionSpec, axis: number): number {
  const { heads, keyHeads, headWidth, rows = "all" } = spec;
  const outer = rows === "all" ? 1 : keyHeads;
  const [queries, keys] = [heads / outer, keyHeads / outer];
  const [from, count] = { query: [0, queries], key: [queries, keys], value: [queries + keys, keys] }[part] as [
    number,
    number,
  ];
  const shape = builder.shape(joint);
  const [before, after] = [shape.slice(0, axis), shape.slice(axis + 1)];
  const split = builder.reshape(joint, [
    ...before,
    ...(outer === 1 ? [] : [outer]),
    (queries + 2 * keys) * headWidth,
    ...after,
  ]);
  const at = axis + (outer === 1 ? 0 : 1);
  const taken = builder.slice(
    split,
    builder.shape(split).map((_n, i) => (i === at ? from * headWidth : 0)),
    builder.shape(split).map((n, i) => (i === at ? (from + count) * headWidth : n)),
  );
  return builder.reshape(taken, [...before, outer * count * headWidth, ...after]);
}

/** The layer of one part in a joint one. */
function layerIn({ builder, sites }: Place, joint: string, part: Part, spec: AttentionSpec): Layer {
  const { weight, bias } = sites.layer(joint);
  const rows = (tensor: number): number => partOf(builder, tensor, part, spec, 0);
  return { weight: rows(weight), ...(bias === undefined ? {} : { bias: rows(bias) }) };
}

/** The norm of queries or keys f32[b, s, ..heads, d], or f32[b, s, heads d] where all heads are normalised at once. */
function headNorm(count: number, { norms, headWidth }: AttentionSpec): Module<Unary> | undefined {
  if (norms === undefined) return undefined;
  switch (norms.heads) {
    case "one gain":
      return norm(headWidth, norms);
    case "at once":
      return norm(count * headWidth, norms);
    case "rows":
      return rowsNorm(count, headWidth, norms);
    case "modules":
      return cast(
        { norms: "norms" },
        { norms: list(Array.from({ length: count }, () => norm(headWidth, norms))) },
        (modules, { builder }) =>
          (x) => {
            const shape = builder.shape(x) as [number, number, ...number[]];
            const [batch, length] = shape;
            const heads = builder.reshape(x, [batch, length, count, headWidth]);
            const one = (i: number): number => builder.slice(heads, [0, 0, i, 0], [batch, length, i + 1, headWidth]);
            return builder.reshape(
              builder.concat(
                modules.norms.map((normed, i) => normed(one(i))),
                2,
              ),
              shape,
            );
          },
      );
  }
  return norms.heads satisfies never;
}

export function attentionLayer(hidden: number, spec: AttentionSpec): Module<AttentionLayer> {
  const {
    names,
    heads,
    keyHeads,
    headWidth,
    bias,
    norms,
    scale,
    cap = 0,
    rope,
    scores,
    growth,
    clip,
    closed = false,
    repeatsKeys = false,
    replaces,
  } = spec;
  const layout = spec.transposed === true ? "conv1d" : "linear";
  const layer = (count: number): Module<Unary> => linear(hidden, count * headWidth, bias[0], { layout });
  return cast(
    names,
    {
      query: maybe(layer(heads)),
      key: maybe(layer(keyHeads)),
      value: maybe(layer(keyHeads)),
      joint: maybe(layer(heads + 2 * keyHeads)),
      output: maybe(attentionOutput(hidden, spec)),
      "query norm": headNorm(heads, spec),
      "key norm": headNorm(keyHeads, spec),
      ...scoreParts(hidden, heads, scores),
    },
    (modules, place) => (x, input, memory) => {
      const { builder, sites, path } = place;
      const { stream = x, seen } = memory ?? { seen: input.seen };
      const joint = modules.joint?.(x);
      const made = (part: Part): number =>
        modules[part]?.(part === "query" ? x : stream) ?? partOf(builder, joint!, part, spec, 2);
      const layerOf = (part: Part): Layer => {
        const own = modules[part];
        return own === undefined ? layerIn(place, modules.joint!.path, part, spec) : sites.layer(own.path);
      };
      const split = (y: number, ...groups: number[]): number =>
        builder.reshape(y, [...builder.shape(y).slice(0, 2), keyHeads, ...groups, headWidth]);
      const normsAt = (at: boolean, part: "query" | "key", y: number): number => {
        const normed = modules[`${part} norm`];
        return normed === undefined || at !== (norms?.heads === "at once") ? y : normed(y);
      };
      const flat = { query: made("query"), key: made("key"), value: made("value") };
      const across = [normsAt(true, "query", flat.query), normsAt(true, "key", flat.key), flat.value];
      const [query, key, value] = across.map((y) => clipped(builder, y, clip)) as [number, number, number];
      const [q, k, values] = [split(query, heads / keyHeads), split(key), split(value)];
      const turned = (y: number): number => (rope === undefined ? y : rotate(builder, y, input.ropes[rope]!));
      const placed = (part: "query" | "key", y: number): number =>
        norms?.behindRope === true ? normsAt(false, part, turned(y)) : turned(normsAt(false, part, y));
      const [queries, keys] = [grown(builder, placed("query", q), input.sequence, growth), placed("key", k)];
      const added = scoresOf(place, scores, { queries, keys, scale, parts: modules }, input);
      const operands = { queries, keys, values, scale, cap, bias: added };
      const { sequence } = input;
      // Where nothing stands in front, and all is seen, there is no mask to begin with.
      const isPlain = closed || (seen === undefined && sequence.keys === 0);
      const context = isPlain
        ? attend(builder, { ...operands, seen, replaces })
        : sites.attention(path, {
            ...{ ...operands, seen: seen ?? sequence.all(), keyLayer: layerOf("key"), valueLayer: layerOf("value") },
            before: sequence.keys,
          });
      const rows = builder.reshape(context, [...builder.shape(x).slice(0, 2), heads * headWidth]);
      const output = modules.output?.(rows) ?? rows;
      return isPlain ? output : sites.attended(path, output);
    },
    attentionEntry(
      closed
        ? undefined
        : { in: hidden, out: keyHeads * headWidth, keyHeads, ...(repeatsKeys ? { prefixHeads: heads } : {}) },
    ),
  );
}

/** Numbers no farther from 0 than the limit. */
function clipped(builder: Builder, x: number, limit: number | undefined): number {
  if (limit === undefined) return x;
  const atMost = builder.add("minimum", [x, builder.constantLike(x, limit)]);
  return builder.add("maximum", [atMost, builder.constantLike(x, -limit)]);
}

/** Queries f32[b, s, n, g, d] times what grows with their positions; nothing does within the original length. */
function grown(
  builder: Builder,
  queries: number,
  { positions, keys }: Sequence,
  growth: AttentionSpec["growth"],
): number {
  if (growth === undefined || keys + positions <= growth.original) return queries;
  const places = builder.cast(builder.iota([positions], 0), "f32");
  const times = builder.scale(builder.plus(places, builder.constantLike(places, keys)), 1 / growth.original);
  const steps = builder.add("floor", [times]);
  const logs = builder.scale(builder.add("log", [builder.plus(steps, builder.constantLike(steps, 1))]), growth.beta);
  const factors = builder.plus(logs, builder.constantLike(logs, 1));
  return builder.mul(queries, builder.broadcast(factors, builder.shape(queries), [1]));
}

/** The layer behind the heads of an attention. */
export const attentionOutput = (hidden: number, { heads, headWidth, bias, transposed }: AttentionSpec): Module<Unary> =>
  linear(heads * headWidth, hidden, bias[1], { layout: transposed === true ? "conv1d" : "linear" });
