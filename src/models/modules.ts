/** Entries of a model's list of modules. */
import type { ModuleInfo } from "./model.ts";

export const container = (path: string): ModuleInfo => ({ path, kind: "container", layout: "linear" });

/** An attention; with the widths of its input and keys where adapters can reach into it. */
export const attentionModule = (path: string, sizes?: { in: number; out: number; keyHeads: number }): ModuleInfo => ({
  path,
  kind: "attention",
  layout: "linear",
  ...sizes,
});

export const norm = (path: string, width: number, bias: boolean): ModuleInfo => ({
  path,
  kind: "norm",
  weight: `${path}.weight`,
  ...(bias ? { bias: `${path}.bias` } : {}),
  in: width,
  out: width,
  layout: "linear",
});

/** `biasField`: the field of the config that says whether there is a bias; none where the architecture says it. */
export const linear = (path: string, width: number, out: number, bias: boolean, biasField?: string): ModuleInfo => ({
  path,
  kind: "linear",
  weight: `${path}.weight`,
  ...(bias ? { bias: `${path}.bias` } : {}),
  ...(bias || biasField === undefined ? {} : { biasField }),
  in: width,
  out,
  layout: "linear",
});

/** Key of the bias that a field of the config would give to a module: beside its weight, in the spelling of the file. */
export const switchedBias = ({ biasField, weight }: ModuleInfo): string | undefined =>
  biasField === undefined ? undefined : weight?.replace(/\.weight$/, ".bias");

/** GPT-2's linear layer, stored as [in, out]. */
export const conv1d = (path: string, width: number, out: number): ModuleInfo => ({
  ...linear(path, width, out, true),
  layout: "conv1d",
});

/** A convolution whose kernels do not overlap, over images [channels, height, width]: a linear layer on flattened patches. */
export const patches = (path: string, channels: number, size: number, out: number): ModuleInfo => ({
  ...linear(path, channels * size * size, out, true),
  layout: "patches",
  patch: [channels, size, size],
});

export const embedding = (path: string, rows: number, width: number): ModuleInfo => ({
  path,
  kind: "embedding",
  weight: `${path}.weight`,
  in: rows,
  out: width,
  layout: "linear",
});
