/** What encoders have in common: attention in all directions, layers with norms behind their sums, a pooler, and how they stand alone. */
import { type Activation, activate } from "./activation.ts";
import { type Attention, attend } from "./attention.ts";
import { layerNorm, linear, type Unary } from "./layers.ts";
import type { BuildOptions } from "./model.ts";
import { bind, block, type ModelTree, type Module, type Place, silent } from "./module.ts";
import { firstToken } from "./pooling.ts";

/** Sizes of a layer, and the epsilon of its norms. */
interface LayerSizes {
  readonly hidden: number;
  readonly intermediate: number;
  readonly epsilon: number;
  readonly activation: Activation;
}

/** f32[b, s, heads width] from what the layers of queries, keys and values made of the stream: f32[b, s, heads width] each. */
export function attendAll(
  { builder }: Place,
  [queries, keys, values]: readonly [number, number, number],
  heads: number,
  seen?: Attention["seen"],
): number {
  const [batch, length, width] = builder.shape(queries) as [number, number, number];
  const split = (y: number, ...groups: number[]): number =>
    builder.reshape(y, [batch, length, heads, ...groups, width / heads]);
  const context = attend(builder, { queries: split(queries, 1), keys: split(keys), values: split(values), seen });
  return builder.reshape(context, [batch, length, width]);
}

/** A layer with tanh behind it, on the first token. */
export const pooled = (place: Place, dense: Unary, stream: number): number =>
  place.builder.add("tanh", [dense(firstToken(place, stream))]);

/** The same as a module of its own: f32[b, s, width] to f32[b, out]. */
export const poolerOf = (width: number, out = width): Module<Unary> =>
  block(
    { dense: linear(width, out, true), activation: silent },
    ({ dense }, place) =>
      (stream) =>
        pooled(place, dense, stream),
  );

/**
 * The root of a model without a head: what is in an encoder of what it reads, and the pooler behind it, which computes only where the files
 * hold its tensors.
 */
export function encoderAlone<Input>(
  encoder: Module<(input: Input) => number>,
  read: (place: Place, options: BuildOptions) => Input,
  pooler: Module<Unary> | undefined,
): ModelTree["root"] {
  const children = { ...encoder.children, pooler };
  return {
    ...{ entry: encoder.entry, children },
    call: (place) => {
      const [encode, pool] = [encoder.call(place), pooler && bind(pooler, { ...place, path: "pooler" })];
      return (options) => {
        const hidden = encode(read(place, options));
        const isStored = pool !== undefined && (options.stored?.(place.sites.weightOf("pooler.dense")) ?? true);
        return { hidden, pooler: isStored ? pool(hidden) : undefined };
      };
    },
  };
}

/** Attention, then an MLP, each added to the stream and normalised after it. `self` reads the stream, and what attentions read beside it. */
export function normedLayer<R>(
  { hidden, intermediate, epsilon, activation }: LayerSizes,
  self: Module<(x: number, read: R) => number>,
): Module<(x: number, read: R) => number> {
  const added = (width: number): Module<(y: number, to: number) => number> =>
    block(
      { dense: linear(width, hidden, true), LayerNorm: layerNorm(hidden, epsilon), dropout: silent },
      ({ dense, LayerNorm }, { builder }) =>
        (y, to) =>
          LayerNorm(builder.plus(dense(y), to)),
    );
  const attention = block(
    { self, output: added(hidden) },
    (modules) => (x: number, read: R) => modules.output(modules.self(x, read), x),
  );
  const inner = block(
    { dense: linear(hidden, intermediate, true), intermediate_act_fn: silent },
    ({ dense }, { builder }) =>
      (x: number) =>
        activate(builder, activation, dense(x)),
  );
  return block({ attention, intermediate: inner, output: added(intermediate) }, (modules) => (x, read) => {
    const attended = modules.attention(x, read);
    return modules.output(modules.intermediate(attended), attended);
  });
}

/** The head of masked tokens, which stands at `cls`. `table`: the key of the weight that it shares. */
export function predictions({
  hidden,
  embeddingWidth,
  vocabulary,
  epsilon,
  activation,
  table,
}: Omit<LayerSizes, "intermediate"> & {
  readonly embeddingWidth: number;
  readonly vocabulary: number;
  readonly table: string | undefined;
}): Module<Unary> {
  const transform = block(
    {
      ...{ dense: linear(hidden, embeddingWidth, true), transform_act_fn: silent },
      LayerNorm: layerNorm(embeddingWidth, epsilon),
    },
    (modules, { builder }) =>
      (x: number) =>
        modules.LayerNorm(activate(builder, activation, modules.dense(x))),
  );
  const shared = table === undefined ? {} : { bias: "cls.predictions.bias", weight: table };
  const decoder = linear(embeddingWidth, vocabulary, true, shared);
  const inTurn = block({ transform, decoder }, (modules) => (x: number) => modules.decoder(modules.transform(x)));
  return block({ predictions: inTurn }, (modules) => (x) => modules.predictions(x));
}
