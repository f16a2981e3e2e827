/** Tensors of several layers that files hold as one, the rows of one behind those of the other: read apart, written as the one that they were. */
import type { ModuleInfo } from "../../models/model.ts";
import { modulesOf, type StoredModel, unstacked } from "./stacks.ts";
import type { HostTensor } from "./tensor.ts";
import type { WeightInfo, Weights } from "./weights.ts";

interface Slice {
  /** Key of the whole in the file. */
  readonly whole: string;
  readonly index: number;
  readonly of: number;
}

/** How the tensors of a model are in its files. */
export interface Slices {
  /** By the key of the layer's own tensor. */
  readonly slices: ReadonlyMap<string, Slice>;
  readonly files: Weights;
}

/** The tensors of a layer that files hold in another's. */
const slicesOf = ({ weight, bias, slice }: ModuleInfo): [string, Slice][] =>
  slice === undefined
    ? []
    : Object.entries({ weight, bias }).flatMap(([name, key]): [string, Slice][] =>
        key === undefined ? [] : [[key, { whole: `${slice.path}.${name}`, index: slice.index, of: slice.of }]],
      );

const partInfo = ({ dtype, shape: [rows, ...rest] }: WeightInfo, { of }: Slice): WeightInfo => ({
  dtype,
  shape: [rows! / of, ...rest],
});

/** Keys of the parts by that of their whole, in their order. */
function partsOf(slices: Slices["slices"]): ReadonlyMap<string, readonly string[]> {
  const parts = new Map<string, string[]>();
  for (const [key, { whole }] of [...slices].sort(([, a], [, b]) => a.index - b.index))
    parts.set(whole, [...(parts.get(whole) ?? []), key]);
  return parts;
}

/** The model with every tensor of its own that its files hold in another. A tensor that has no equal parts is left whole. */
export function withSlices<M extends StoredModel>(model: M): M {
  const { weights: files } = model;
  const found = modulesOf(model)
    .flatMap(slicesOf)
    .filter(([key, { whole, of }]) => {
      const rows = files.info(whole)?.shape[0];
      return files.info(key) === undefined && rows !== undefined && rows % of === 0;
    });
  if (found.length === 0) return model;
  const slices = new Map(found);
  const parts = partsOf(slices);
  const weights: Weights = {
    keys: () => files.keys().flatMap((key) => parts.get(key) ?? [key]),
    info: (key) => {
      const slice = slices.get(key);
      if (slice === undefined) return parts.has(key) ? undefined : files.info(key);
      return partInfo(files.info(slice.whole)!, slice);
    },
    read: async (key) => {
      const slice = slices.get(key);
      if (slice === undefined) return files.read(key);
      const { bytes, ...info } = await files.read(slice.whole);
      const size = bytes.byteLength / slice.of;
      return { ...partInfo(info, slice), bytes: bytes.subarray(slice.index * size, (slice.index + 1) * size) };
    },
  };
  return { ...model, weights, slices: { slices, files } };
}

/** The tensors of a model as its files hold them, or those of the model that it was made of. */
export function asInFiles({
  slices: apart,
  ...model
}: Pick<StoredModel, "weights" | "stacks"> & { readonly slices?: Slices | undefined }): Weights {
  const weights = unstacked(model);
  if (apart === undefined) return weights;
  const { slices, files } = apart;
  const parts = partsOf(slices);
  const own = new Set(slices.keys());
  const infoOf = (key: string): WeightInfo | undefined => {
    const [first] = parts.get(key) ?? [];
    if (first === undefined) return own.has(key) ? undefined : weights.info(key);
    const { dtype, shape } = weights.info(first)!;
    return { dtype, shape: [shape[0]! * slices.get(first)!.of, ...shape.slice(1)] };
  };
  return {
    keys: () => [...files.keys(), ...weights.keys().filter((key) => !own.has(key) && files.info(key) === undefined)],
    info: infoOf,
    read: async (key): Promise<HostTensor> => {
      const keys = parts.get(key);
      if (keys === undefined) return weights.read(key);
      const pieces: HostTensor[] = [];
      for (const part of keys) pieces.push(await weights.read(part));
      const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.bytes.byteLength, 0));
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece.bytes, at);
        at += piece.bytes.byteLength;
      }
      return { ...infoOf(key)!, bytes };
    },
  };
}
