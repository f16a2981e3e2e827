/** Mixtures of experts: MLPs beside one another, of which a router takes some for every token. */
import type { Builder } from "../ir/builder.ts";
import { activate } from "./activation.ts";
import { linear, type Unary } from "./layers.ts";
import { mlp } from "./mlp.ts";
import { cast, type Module, silent } from "./module.ts";
import { type Routes, route } from "./router.ts";
import type { Sequence } from "./sequence.ts";
import type { MoeSpec } from "./spec.ts";

/** What stands in the place of an MLP: x f32[b, s, hidden] to its like. */
export type Mixture = (x: number, sequence: Sequence) => number;

/** The router's logits f32[n, experts] of x f32[n, hidden]. No linear layer for adapters, as its weight is a parameter of its own. */
const router = (hidden: number, experts: number): Module<Unary> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { weight: { key: `${path}.weight`, shape: [experts, hidden], matrices: true } },
  }),
  children: {},
  call:
    ({ sites, path }) =>
    (x) =>
      sites.matrices(path, "weight", x),
});

/** Rows f32[tiles, rows, hidden] through the expert of each tile, i32[tiles]. Weights of all experts are one tensor, gate and up another. */
function expertsModule(hidden: number, { experts, inner, activation, stored }: MoeSpec): Module<ExpertsCall> {
  const parts = (path: string, names: readonly string[]): readonly string[] =>
    Array.from({ length: experts }, (_unused, e) => names.map((name) => `${path}.${e}.${name}.weight`)).flat();
  return {
    entry: (path) => ({
      ...{ path, kind: "container", layout: "linear" },
      parameters: {
        gate_up_proj: {
          ...{ key: `${path}.gate_up_proj`, shape: [experts, 2 * inner, hidden] },
          ...{ matrices: true, parts: parts(path, [stored.gate, stored.up]) },
        },
        down_proj: {
          ...{ key: `${path}.down_proj`, shape: [experts, hidden, inner] },
          ...{ matrices: true, parts: parts(path, [stored.down]) },
        },
      },
    }),
    children: { act_fn: silent },
    call:
      ({ builder, sites, path }) =>
      (x, owners) => {
        const both = sites.matrices(path, "gate_up_proj", x, owners);
        const [tiles, rows] = builder.shape(both) as [number, number];
        const half = (side: number): number =>
          builder.slice(both, [0, 0, side * inner], [tiles, rows, (side + 1) * inner]);
        return sites.matrices(path, "down_proj", builder.mul(activate(builder, activation, half(0)), half(1)), owners);
      },
  };
}

type ExpertsCall = (x: number, owners: number) => number;

export function mixture(hidden: number, spec: MoeSpec): Module<Mixture> {
  const { experts, shared } = spec;
  return cast(
    spec.names,
    {
      router: router(hidden, experts),
      experts: expertsModule(hidden, spec),
      shared: shared === undefined ? undefined : mlp(hidden, shared),
      "shared gate": shared === undefined ? undefined : linear(hidden, 1, false),
    },
    (modules, { builder }) =>
      (x, sequence) => {
        const [batch, length] = builder.shape(x) as [number, number];
        const tokens = builder.reshape(x, [batch * length, hidden]);
        const routes = route(builder, modules.router(tokens), length, spec);
        sequence.routes.push(routes);
        const rows = modules.experts(sent(builder, tokens, routes), routes.owners);
        const own = builder.reshape(returned(builder, rows, routes), [batch, length, hidden]);
        const common = modules.shared?.(x);
        if (common === undefined) return own;
        const share = builder.add("sigmoid", [modules["shared gate"]!(x)]);
        return builder.plus(own, builder.mul(common, share));
      },
  );
}

/** Tokens f32[n, width] in the rows of their choices: f32[tiles, rows, width]. A row of zeros stands behind them for rows that are empty. */
function sent(builder: Builder, tokens: number, { places, choices }: Routes): number {
  const [count, width] = builder.shape(tokens) as [number, number];
  const taken = builder.shape(places)[1]!;
  const each = builder.reshape(builder.broadcast(tokens, [count, taken, width], [0, 2]), [count * taken, width]);
  const table = builder.concat([each, builder.constant(0, [1, width])], 0);
  const inverse = builder.concat([builder.reshape(places, [count * taken]), builder.constant(0, [1], "i32")], 0);
  return builder.add("gather", [table, choices, inverse]);
}

/** The sum over a token's choices of what stands in their rows f32[tiles, rows, width], by their weights: f32[n, width]. */
function returned(builder: Builder, made: number, { places, choices, weights }: Routes): number {
  const [tiles, rows, width] = builder.shape(made) as [number, number, number];
  const flat = builder.reshape(choices, [tiles * rows]);
  // Nobody asks for the gradient of an empty row.
  const last = builder.constantLike(flat, builder.shape(places).reduce((a, b) => a * b) - 1);
  const inverse = builder.add("minimum", [flat, last]);
  const found = builder.add("gather", [builder.reshape(made, [tiles * rows, width]), places, inverse]);
  return builder.einsum("nj,njw->nw", weights, found);
}

/**
 * How unequally tokens are shared out (Fedus, Zoph and Shazeer 2021): f32[], the number of experts times the sum over them of the part of tokens that
 * one takes, which has no gradient, and its mean probability; over all layers and the tokens that are no padding.
 */
export function imbalance(builder: Builder, sequence: Sequence): number {
  const experts = builder.shape(sequence.routes[0]!.chosen)[1]!;
  const real = sequence.real();
  const over = (pick: (routes: Routes) => number): number =>
    sequence.routes.map((routes) => builder.einsum("n,ne->e", real, pick(routes))).reduce((a, b) => builder.plus(a, b));
  const [chosen, probable] = [over((routes) => routes.chosen), over((routes) => routes.probabilities)];
  const count = builder.scale(builder.sum(real, [0]), sequence.routes.length);
  const product = builder.sum(builder.mul(chosen, probable), [0]);
  return builder.div(builder.scale(product, experts), builder.mul(count, count));
}
