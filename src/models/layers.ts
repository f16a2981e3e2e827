/** The layers that base models are made of. */
import type { ModuleInfo } from "./model.ts";
import type { Module } from "./module.ts";

/** One tensor to one tensor. */
export type Unary = (x: number) => number;

interface LinearOptions {
  /** The field of the config that says whether there is a bias; none where the architecture says it. */
  readonly biasField?: string | undefined;
  /** Key of the weight, where it is that of another module. */
  readonly weight?: string | undefined;
  readonly layout?: ModuleInfo["layout"];
  readonly patch?: readonly number[];
}

/** x f32[..., width] to f32[..., out]. */
export const linear = (width: number, out: number, bias: boolean, options: LinearOptions = {}): Module<Unary> => {
  const { biasField, weight, layout = "linear", patch } = options;
  return {
    entry: (path) => ({
      path,
      kind: "linear",
      weight: weight ?? `${path}.weight`,
      ...(bias ? { bias: `${path}.bias` } : {}),
      ...(bias || biasField === undefined ? {} : { biasField }),
      in: width,
      out,
      layout,
      ...(patch === undefined ? {} : { patch }),
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

/** GPT-2's linear layer, stored as [in, out]. */
export const conv1d = (width: number, out: number): Module<Unary> => linear(width, out, true, { layout: "conv1d" });

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

function norm(kind: "rms" | "layer", width: number, epsilon: number): Module<Unary> {
  const bias = kind === "layer";
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

export const rmsNorm = (width: number, epsilon: number): Module<Unary> => norm("rms", width, epsilon);
export const layerNorm = (width: number, epsilon: number): Module<Unary> => norm("layer", width, epsilon);

/** Entry of an attention; with the widths of its input and keys where adapters can reach into it. */
export const attentionEntry =
  (sizes?: { readonly in: number; readonly out: number; readonly keyHeads: number }): Module["entry"] =>
  (path) => ({ path, kind: "attention", layout: "linear", ...sizes });
