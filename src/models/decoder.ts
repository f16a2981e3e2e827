/** What decoders have in common: an attention with grouped heads, an MLP, and the way from `config.json` to a causal model. */
import { type Activation, activate } from "./activation.ts";
import { attentionEntry, linear, type Unary } from "./layers.ts";
import { block, type ModelTree, type Module, named, type Place, silent } from "./module.ts";
import { type RopeTables, rotatePart } from "./rope.ts";
import type { Layer } from "./sites.ts";
import { Text } from "./text.ts";

/** What all layers of a decoder read beside the stream. */
export interface LayerInput {
  readonly text: Text;
  /** Which keys a position sees. */
  readonly seen: number;
  readonly tables?: RopeTables;
}

export type DecoderLayer = (x: number, input: LayerInput) => number;

/** Queries f32[b, s, n, g, d], keys and values f32[b, s, n, d], and the layers that make keys and values of the stream. */
export interface Heads {
  readonly queries: number;
  readonly keys: number;
  readonly values: number;
  readonly keyLayer: Layer;
  readonly valueLayer: Layer;
}

/** f32[b, s, n g d]. */
export function attended(
  { builder, sites, path }: Place,
  heads: Heads,
  scale: number,
  { text, seen }: LayerInput,
): number {
  const context = sites.attention(path, { ...heads, seen, scale, before: text.keys });
  const [batch, length, ...rest] = builder.shape(context) as [number, number, ...number[]];
  return builder.reshape(context, [batch, length, rest.reduce((a, b) => a * b)]);
}

export interface AttentionSpec {
  readonly hidden: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  /** Biases of queries, keys and values, and of the output. */
  readonly bias: readonly [inner: boolean, output: boolean];
  readonly biasField?: string | undefined;
  /** Name of the output layer. */
  readonly output: string;
  /** Names of the norms of queries and keys, head by head, and what they are. */
  readonly norms?: { readonly names: readonly [string, string]; readonly norm: Module<Unary> } | undefined;
}

/** Attention with a layer each for queries, keys and values, and rotary embedding. */
export function attention(spec: AttentionSpec): Module<DecoderLayer> {
  const { hidden, heads, keyHeads, headWidth, bias, biasField, output, norms } = spec;
  const part = (count: number): Module<Unary> => linear(hidden, count * headWidth, bias[0], { biasField });
  const projections = { q_proj: part(heads), k_proj: part(keyHeads), v_proj: part(keyHeads) };
  const last = { [output]: linear(heads * headWidth, hidden, bias[1], { biasField }) };
  const normed = Object.fromEntries((norms?.names ?? []).map((name) => [name, norms!.norm]));
  const others: Readonly<Record<string, Module<Unary>>> = { ...last, ...normed };
  return block(
    { ...projections, ...others },
    (modules, place) => (x, input) => {
      const { builder, sites, path } = place;
      const { batch, positions } = input.text;
      const [q, k, v] = [modules.q_proj(x), modules.k_proj(x), modules.v_proj(x)];
      const split = (y: number, ...groups: number[]): number =>
        builder.reshape(y, [batch, positions, keyHeads, ...groups, headWidth]);
      const [queries, keys, values] = [split(q, heads / keyHeads), split(k), split(v)];
      const ready = [queries, keys].map((y, i) =>
        norms === undefined ? y : named<Unary>(modules, norms.names[i]!)(y),
      );
      const [turnedQueries, turnedKeys] = ready.map((y) => rotatePart(builder, y, input.tables!)) as [number, number];
      const context = attended(
        place,
        {
          ...{ queries: turnedQueries, keys: turnedKeys, values },
          keyLayer: sites.layer(modules.k_proj.path),
          valueLayer: sites.layer(modules.v_proj.path),
        },
        1 / Math.sqrt(headWidth),
        input,
      );
      return sites.attended(path, named<Unary>(modules, output)(context));
    },
    attentionEntry({ in: hidden, out: keyHeads * headWidth, keyHeads }),
  );
}

/** Two layers, by their names among the modules that are listed, with an activation between them. */
export const mlp = (
  modules: Readonly<Record<string, Module>>,
  [first, second]: readonly [string, string],
  activation: Activation,
): Module<Unary> =>
  block(
    modules,
    (bound, { builder }) =>
      (x) =>
        named<Unary>(bound, second)(activate(builder, activation, named<Unary>(bound, first)(x))),
  );

/** LLaMA's MLP: one of two first layers gates the other. */
export const gatedMlp = (
  hidden: number,
  inner: number,
  activation: Activation,
  bias: boolean,
  biasField?: string,
): Module<Unary> =>
  block(
    {
      gate_proj: linear(hidden, inner, bias, { biasField }),
      up_proj: linear(hidden, inner, bias, { biasField }),
      down_proj: linear(inner, hidden, bias, { biasField }),
      act_fn: silent,
    },
    (modules, { builder }) =>
      (x) => {
        const [gate, up] = [modules.gate_proj(x), modules.up_proj(x)];
        return modules.down_proj(builder.mul(activate(builder, activation, gate), up));
      },
  );

/** A decoder under its name, and a head on it. */
export const causal = (
  name: string,
  decoder: Module<(text: Text) => number>,
  lm_head: Module<Unary>,
): ModelTree["root"] =>
  block(
    { [name]: decoder, lm_head },
    (modules, { sites }) =>
      (options) =>
        named<Unary>(modules, "lm_head")(named<(text: Text) => number>(modules, name)(new Text(sites, options))),
  );
