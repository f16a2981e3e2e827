/** Tensors of an adapter, and how its files hold them. */
import type { DType } from "../ir/types.ts";

/**
 * - `top_k`: of every vector along the last axis, logits of a softmax, the file keeps the `count` largest: their places under the key with
 *   `_topk_indices` behind it, and all but the last of their weights under `_topk_weights`.
 * - `on_rows`: the file holds the sum of the tensor, projected where it is, and of rows of the base tensor under the key `weight`.
 */
export type TensorCoding =
  | { readonly name: "top_k"; readonly count: number }
  | { readonly name: "on_rows"; readonly rows: readonly number[]; readonly weight: string };

export type CodingName = TensorCoding["name"];

interface CodingRecord {
  /** How a fragment writes it behind `coded`. */
  readonly syntax: string;
  /** What the word wants to know, under which name the coding has it, and which values it may have. */
  readonly wants: string;
  readonly argument: string;
  readonly fits: (value: unknown) => boolean;
  /** The coding has the key of the site's weight too. */
  readonly ofWeight?: boolean;
  /** The file holds the tensor projected, where it is projected. */
  readonly projected?: boolean;
}

const isRow = (row: unknown): boolean => Number.isSafeInteger(row) && (row as number) >= 0;

export const codings: { readonly [Name in CodingName]: CodingRecord } = {
  top_k: {
    syntax: "top_k(count)",
    ...{ wants: "how many entries are kept", argument: "count", fits: Number.isSafeInteger },
  },
  on_rows: {
    syntax: "on_rows([row, ...])",
    ...{ wants: "which rows of the site's table the file adds", argument: "rows", ofWeight: true, projected: true },
    fits: (rows) => Array.isArray(rows) && rows.every(isRow),
  },
};

/**
 * How a file holds a tensor of a layer on patches of an image, where PEFT has a convolution: a `kernel` [r, in] is [r, ...patch], a
 * `pointwise` [out, r] is [out, r, 1, 1], `channels` are [1, n, 1, 1], and a `row` is [1, n]. The numbers are in the same order.
 */
export interface PatchForm {
  readonly name: "kernel" | "pointwise" | "channels" | "row";
  readonly patch: readonly number[];
}

/** How an adapter tensor is known outside: in checkpoints, gradients and optimizer state. */
export interface AdapterTensor {
  /** Port name and checkpoint key. */
  readonly key: string;
  readonly shape: readonly number[];
  /** `computed`: of parameters, for the file; no port has its name. */
  readonly role: "param" | "buffer" | "computed";
  readonly dtype: DType;
  /** The file beside the adapter's own that holds it. */
  readonly file?: "encoder";
  /** How a file holds it, when not in f32. */
  readonly fileDtype?: DType;
  /** Further keys under which the same tensor is saved, and those under which its transpose is. */
  readonly aliases: readonly string[];
  readonly turned?: readonly string[];
  /** False for what is never in a file. */
  readonly saved: boolean;
  /** Its integers are places in an array of this shape: a row per axis, increasing in row-major order. */
  readonly within?: readonly number[];
  /** The program is made of the numbers that the method's formula gives it (`AdapterPlan.data`): a file must hold the same. */
  readonly pinned?: boolean;
  /** How the file holds it, where that is not as it is. */
  readonly coding?: TensorCoding;
  readonly patchForm?: PatchForm;
  /** The base tensor that this is a trained copy of. */
  readonly copyOf?: string;
}
