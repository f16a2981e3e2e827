/** Walks a `StackSpec`: embeddings, a row of layers on one stream, a norm, a pooler. The tree gives both the list of modules and the graph. */
import {
  type AttentionLayer,
  attentionLayer,
  attentionOutput,
  type LayerInput,
  type Memory,
} from "./attention-layer.ts";
import { distancesOf, distanceTable } from "./distances.ts";
import { type Mixture, mixture } from "./experts.ts";
import { imageEmbedding, layerScale } from "./image.ts";
import { embedding, linear, norm, type Unary } from "./layers.ts";
import { isMixture, mlp, mlpOf, mlpParts } from "./mlp.ts";
import { type Bound, cast, list, type Module, maybe, ofHead } from "./module.ts";
import { poolerOf } from "./pooling.ts";
import { rotary } from "./rope.ts";
import type { SharedScores } from "./scores.ts";
import type { Sequence } from "./sequence.ts";
import type { LayerPart, LayerSpec, StackSpec } from "./spec.ts";

/** What a stack makes: hidden states, and what may make a row of them. */
export interface Stacked {
  readonly hidden: number;
  readonly pooler: Bound<Unary> | undefined;
}

export type Stack = (sequence: Sequence, memory?: Memory) => Stacked;

/** The width of the stream as it leaves the stack. */
export const outputWidth = ({ hidden, embeddingWidth = hidden, projection }: StackSpec): number =>
  projection?.after === "table" ? embeddingWidth : hidden;

export function stack(spec: StackSpec): Module<Stack> {
  const { vocabulary, hidden, embeddingWidth = hidden, embeddingScale = 1, streamScale = 1, outputScale = 1 } = spec;
  const { positions, tokenTypes, image, projection, pooler, distances, scoreTable, layers } = spec;
  const width = projection === undefined || projection.after === "table" ? hidden : embeddingWidth;
  const poolerPart = pooler === undefined ? undefined : poolerOf(hidden, pooler.width);
  return cast(
    spec.names.parts,
    {
      embedding: vocabulary === 0 ? undefined : embedding(vocabulary, embeddingWidth),
      image: image === undefined ? undefined : imageEmbedding(hidden, image),
      "embedding norm": maybe(norm(projection?.after === "norm" ? width : hidden, spec.norm)),
      positions: maybe(embedding(spec.maximumLength + (positions?.offset ?? 0), width)),
      "token types": tokenTypes === undefined ? undefined : embedding(tokenTypes, width),
      "project in": projection && linear(embeddingWidth, hidden, projection.bias),
      "project out": projection && linear(hidden, embeddingWidth, projection.bias),
      layers: list(layers.map((layer) => stackLayer(hidden, layer))),
      norm: maybe(norm(hidden, spec.norm)),
      pooler: poolerPart && pooler?.fresh ? ofHead(poolerPart, pooler.fresh) : poolerPart,
      "score table": scoreTable && embedding(scoreTable.buckets, scoreTable.heads),
      distances: distances && distanceTable(hidden, distances),
      "distance norm": distances && norm(hidden, spec.norm),
      rope: maybe(rotary(layers[0]!.attention.headWidth, spec.ropes)),
    },
    (modules, { builder }) => {
      const projected = (at: "table" | "sum" | "norm", x: number): number =>
        (projection?.after === at ? modules["project in"]?.(x) : undefined) ?? x;
      const embedded = (sequence: Sequence): number => {
        if (modules.image !== undefined) return modules.image(sequence.content);
        const words = projected("table", sequence.embedded(modules.embedding!, embeddingScale));
        const types = modules["token types"]?.(sequence.types());
        const places = positions && modules.positions!(sequence.numbers(positions));
        const sum = [types, places].reduce<number>((x, y) => (y === undefined ? x : builder.plus(x, y)), words);
        const wide = projected("sum", sum);
        const normed = projected("norm", modules["embedding norm"]?.(wide) ?? wide);
        return spec.blindPadding === true ? sequence.withoutPadding(normed) : normed;
      };
      const distancesIn = (length: number) => {
        const table = modules.distances?.();
        if (table === undefined) return undefined;
        return distancesOf(builder, modules["distance norm"]?.(table) ?? table, length, distances!);
      };
      const seenBy = (sequence: Sequence, { attention: { window } }: LayerSpec): number | undefined => {
        if (spec.blindPadding === true) return sequence.seenWithoutPadding();
        return spec.bothWays === true ? sequence.seenBothWays(window) : sequence.seen(window);
      };
      return (sequence, memory) => {
        const ropes = modules.rope?.(sequence.positions, sequence.keys) ?? {};
        const first = builder.scale(embedded(sequence), streamScale);
        const shared: SharedScores = { distances: distancesIn(sequence.positions), table: modules["score table"] };
        const stream = modules.layers.reduce(
          (x, one, index) => one(x, { sequence, ropes, seen: seenBy(sequence, layers[index]!), shared, memory }),
          first,
        );
        const last = modules.norm?.(stream) ?? stream;
        const out = modules["project out"]?.(last) ?? last;
        return { hidden: builder.scale(out, outputScale), pooler: modules.pooler };
      };
    },
  );
}

type StackLayer = (x: number, input: LayerInput) => number;

function stackLayer(hidden: number, spec: LayerSpec): Module<StackLayer> {
  const { names, attention, cross, parallel = false, residualScale = 1 } = spec;
  const normed = (): Module<Unary> | undefined => norm(hidden, spec.norm);
  const scaled = (): Module<Unary> | undefined => layerScale(hidden);
  return cast(
    names,
    {
      attention: attentionLayer(hidden, attention),
      "attention output": maybe(attentionOutput(hidden, attention)),
      cross: cross && attentionLayer(hidden, cross),
      mlp: maybe<Module<Mixture>>(isMixture(spec.mlp) ? mixture(hidden, spec.mlp) : mlp(hidden, spec.mlp)),
      ...mlpParts(hidden, spec.mlp),
      ...{ "before attention": normed(), "after attention": normed(), "sum attention": normed() },
      ...{ "before cross": normed(), "after cross": normed(), "sum cross": normed() },
      ...{ "before mlp": normed(), "after mlp": normed(), "sum mlp": normed() },
      ...{ "scale attention": scaled(), "scale cross": scaled(), "scale mlp": scaled() },
    },
    (modules, place) => {
      const { builder } = place;
      const apart: Mixture = modules.mlp ?? mlpOf(modules, place, spec.mlp);
      const attended: AttentionLayer = (x, input, memory) => {
        const rows = modules.attention(x, input, memory);
        return modules["attention output"]?.(rows) ?? rows;
      };
      /** The stream with what a part of the layer adds to it: its norms around what it makes. */
      const added = (part: LayerPart, x: number, of: Unary): number => {
        const made = of(modules[`before ${part}`]?.(x) ?? x);
        const after = modules[`after ${part}`]?.(made) ?? made;
        const all = builder.plus(x, builder.scale(modules[`scale ${part}`]?.(after) ?? after, residualScale));
        return modules[`sum ${part}`]?.(all) ?? all;
      };
      if (parallel)
        return (x, input) => {
          const read = modules["before attention"]?.(x) ?? x;
          const own = modules["before mlp"]?.(x) ?? read;
          return builder.plus(builder.plus(attended(read, input), apart(own, input.sequence)), x);
        };
      return (x, input) => {
        const own = added("attention", x, (y) => attended(y, input));
        const both =
          modules.cross === undefined ? own : added("cross", own, (y) => modules.cross!(y, input, input.memory));
        return added("mlp", both, (y) => apart(y, input.sequence));
      };
    },
  );
}
