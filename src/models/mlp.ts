/** The MLPs of transformers: two layers with an activation between them, which a third may gate. */
import { activate } from "./activation.ts";
import { linear, type Unary } from "./layers.ts";
import { type Bound, cast, type Module, type Place } from "./module.ts";
import type { MlpRole, MlpSpec, MoeSpec } from "./spec.ts";

/** Whether experts stand in the place of an MLP. */
export const isMixture = (spec: MlpSpec | MoeSpec): spec is MoeSpec => "taken" in spec;

/** Every layer that an MLP may have; its names choose. Experts have none. */
export function mlpParts(hidden: number, spec: MlpSpec | MoeSpec): Record<MlpRole, Module<Unary> | undefined> {
  if (isMixture(spec)) return { gate: undefined, up: undefined, joint: undefined, down: undefined };
  const { inner, bias, transposed, stored } = spec;
  const layout = transposed === true ? "conv1d" : "linear";
  const layer = (from: number, to: number): Module<Unary> => linear(from, to, bias, { layout });
  const half = (index: number): Module<Unary> =>
    linear(hidden, inner, bias, { layout, ...(stored === undefined ? {} : { slice: { name: stored, index, of: 2 } }) });
  return {
    gate: half(0),
    up: half(1),
    joint: layer(hidden, 2 * inner),
    down: layer(inner, hidden),
  };
}

/** What an MLP of these layers computes. */
export const mlpOf =
  (
    { gate, up, joint, down }: Readonly<Record<MlpRole, Bound<Unary> | undefined>>,
    { builder }: Place,
    { inner, activation }: Pick<MlpSpec, "inner" | "activation">,
  ): Unary =>
  (x) => {
    const active = (y: number): number => activate(builder, activation, y);
    if (joint === undefined) {
      const [gates, ups] = [gate?.(x), up!(x)];
      return down!(gates === undefined ? active(ups) : builder.mul(active(gates), ups));
    }
    const [batch, length] = builder.shape(x) as [number, number];
    const both = joint(x);
    const half = (side: number): number =>
      builder.slice(both, [0, 0, side * inner], [batch, length, (side + 1) * inner]);
    return down!(builder.mul(active(half(0)), half(1)));
  };

/** From the stream's width to itself. */
export const mlp = (hidden: number, spec: MlpSpec): Module<Unary> =>
  cast(spec.names, mlpParts(hidden, spec), (modules, place) => mlpOf(modules, place, spec));
