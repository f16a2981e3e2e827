/** The layers that base models are made of. */
import { lowerNorm, type NormKind } from "./lowering.ts";
import type { ModuleInfo } from "./model.ts";
import type { Module } from "./module.ts";

/** One tensor to one tensor. */
export type Unary = (x: number) => number;

/** Whether a layer has a bias, and the field of the config that says so; none where the architecture does. */
export interface Bias {
  readonly has: boolean;
  readonly field?: string;
}

export const withBias: Bias = { has: true };
export const withoutBias: Bias = { has: false };

interface LinearOptions {
  /** Keys of the weight and the bias, where they are those of another module. */
  readonly weight?: string | undefined;
  readonly bias?: string;
  readonly layout?: ModuleInfo["layout"];
  readonly patch?: readonly number[];
  /** The layer beside it whose tensors hold those of this one in files, and which of so many equal parts they are. */
  readonly slice?: { readonly name: string; readonly index: number; readonly of: number };
}

/** x f32[..., width] to f32[..., out]. */
export const linear = (
  width: number,
  out: number,
  bias: Bias | boolean,
  options: LinearOptions = {},
): Module<Unary> => {
  const { weight, layout = "linear", patch, slice } = options;
  const { has, field }: Bias = typeof bias === "boolean" ? { has: bias } : bias;
  return {
    entry: (path) => ({
      path,
      kind: "linear",
      weight: weight ?? `${path}.weight`,
      ...(has ? { bias: options.bias ?? `${path}.bias` } : {}),
      ...(has || field === undefined ? {} : { biasField: field }),
      in: width,
      out,
      layout,
      ...(patch === undefined ? {} : { patch }),
      ...(slice === undefined
        ? {}
        : { slice: { path: path.replace(/[^.]*$/, slice.name), index: slice.index, of: slice.of } }),
    }),
    children: {},
    call:
      ({ sites, path }) =>
      (x) =>
        sites.linear(path, x),
  };
};

/** Key of the bias that a field of the config would give to a module: beside its weight, in the spelling of the file. */
export const switchedBias = ({ biasField, weight }: ModuleInfo): string | undefined =>
  biasField === undefined ? undefined : weight?.replace(/\.weight$/, ".bias");

/** A convolution whose kernels do not overlap, over images [channels, height, width]: a linear layer on flattened patches. */
export const patches = (channels: number, size: number, out: number): Module<Unary> =>
  linear(channels * size * size, out, true, { layout: "patches", patch: [channels, size, size] });

/** Rows f32[..., width] of a table for i32 ids. */
export const embedding = (rows: number, width: number): Module<Unary> => ({
  entry: (path) => ({
    ...{ path, kind: "embedding", weight: `${path}.weight`, in: rows, out: width, layout: "linear" },
  }),
  children: {},
  call:
    ({ sites, path }) =>
    (ids) =>
      sites.embedding(path, ids),
});

export interface NormSpec {
  readonly kind: NormKind;
  readonly epsilon: number;
  readonly bias: boolean;
  /** It has neither gain nor bias, and nothing that adapters could change. */
  readonly plain?: boolean;
}

export function norm(width: number, { kind, epsilon, bias, plain = false }: NormSpec): Module<Unary> {
  if (plain)
    return {
      entry: (path) => ({ path, kind: "container", layout: "linear" }),
      children: {},
      call:
        ({ builder }) =>
        (x) =>
          lowerNorm(builder, x, undefined, undefined, kind, epsilon),
    };
  return {
    entry: (path) => ({
      ...{ path, kind: "norm", weight: `${path}.weight` },
      ...(bias ? { bias: `${path}.bias` } : {}),
      ...{ in: width, out: width, layout: "linear" },
    }),
    children: {},
    call:
      ({ sites, path }) =>
      (x) =>
        sites.norm(path, x, kind, epsilon),
  };
}

/** The norm of each of `count` heads f32[..s, heads, width], on as many axes as there are, with its own row of gains. Adapters cannot change it. */
export const rowsNorm = (count: number, width: number, { kind, epsilon }: NormSpec): Module<Unary> => ({
  entry: (path) => ({
    ...{ path, kind: "container", layout: "linear" },
    parameters: { weight: { key: `${path}.weight`, shape: [count, width] } },
  }),
  children: {},
  call:
    ({ builder, sites, path }) =>
    (x) => {
      const gains = builder.reshape(sites.parameter(path, "weight"), builder.shape(x).slice(2));
      return lowerNorm(builder, x, gains, undefined, kind, epsilon);
    },
});

export const rms = (epsilon: number): NormSpec => ({ kind: "rms", epsilon, bias: false });
export const withMean = (epsilon: number, bias = true): NormSpec => ({ kind: "layer", epsilon, bias });

export const layerNorm = (width: number, epsilon: number): Module<Unary> => norm(width, withMean(epsilon));

/** Entry of an attention; with the widths of its input and keys where adapters can reach into it. */
export const attentionEntry =
  (sizes?: Pick<ModuleInfo, "in" | "out" | "keyHeads" | "prefixHeads">): Module["entry"] =>
  (path) => ({ path, kind: "attention", layout: "linear", ...sizes });
