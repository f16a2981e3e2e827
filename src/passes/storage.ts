/**
 * Lays out the storage of a program. Parameters, gradients and moments are flat buffers with one layout, so that the optimizer is
 * elementwise over them. Every slice starts at a multiple of 64 numbers (256 bytes, WebGPU's binding alignment); gaps are zero and the
 * optimizer keeps them zero.
 *
 * The gradient buffers are longer than the parameters: behind the gradients stand the loss and the gradients of hoisted values, so that
 * `accumulate` adds all at once.
 */
import type { ProgramStorage, StorageBuffer, StorageSlice } from "../program/index.ts";

export const slotSize = 64;

export interface StoredTensor {
  /** Name of the port: a checkpoint key, or the name of a derived value. */
  readonly key: string;
  /** Number of f32 elements, at least 1. */
  readonly size: number;
}

export interface StorageOptions {
  /** Adds gradients, moments and status. */
  readonly train?: boolean;
  /** Adds `grads_total` and `loss_total` for gradient accumulation. */
  readonly accumulate?: boolean;
  /** What of a forward pass can be read afterwards. */
  readonly reports?: readonly StoredTensor[];
  /** Values of parameters alone, in a list for every stage that reads some: of one stage at a time the buffer `hoisted` has them. */
  readonly hoisted?: readonly (readonly StoredTensor[])[];
  /** Gradients of such values, by the names of outputs. */
  readonly gradients?: readonly StoredTensor[];
}

/** Size of the status block: see `statusFields`. */
export const statusSize = 4;

/** The name of the sum over micro-batches of a gradient, or of the loss. */
export const totalOf = (name: string): string => name.replace(/^(grad|loss)(?=\.|$)/, "$1_total");

const roundUp = (size: number): number => Math.ceil(size / slotSize) * slotSize;

/** Slices one after the other; the buffer's size is a multiple of 64. */
function pack(buffer: string, tensors: readonly StoredTensor[]): { size: number; slices: [string, StorageSlice][] } {
  let offset = 0;
  const slices = tensors.map(({ key, size }): [string, StorageSlice] => {
    const slice = { buffer, offset, size };
    offset += roundUp(size);
    return [key, slice];
  });
  return { size: offset, slices };
}

/**
 * Storage of a program with these parameters and derived values. A tensor that is tied under several keys is given once.
 * Throws when a name occurs twice or is the name of a buffer.
 */
export function layoutStorage(
  params: readonly StoredTensor[],
  derived: readonly StoredTensor[] = [],
  options: StorageOptions = {},
): ProgramStorage {
  const buffers: StorageBuffer[] = [];
  const bindings = new Map<string, StorageSlice>();
  const bind = (name: string, slice: StorageSlice): void => {
    if (bindings.has(name)) throw new Error(`storage would hold ${name} twice`);
    bindings.set(name, slice);
  };
  const place = (buffer: string, tensors: readonly StoredTensor[]): number => {
    const { size, slices } = pack(buffer, tensors);
    if (size > 0) buffers.push({ name: buffer, size });
    for (const [name, slice] of slices) bind(name, slice);
    return size;
  };
  const flat = place("params", params);
  place("derived", derived);
  place("reports", options.reports ?? []);
  const hoisted = (options.hoisted ?? []).map((values) => pack("hoisted", values));
  const most = Math.max(0, ...hoisted.map(({ size }) => size));
  if (most > 0) buffers.push({ name: "hoisted", size: most });
  for (const [name, slice] of hoisted.flatMap(({ slices }) => slices)) bind(name, slice);
  if (options.train === true) {
    const own = params.map(({ key, size }) => ({ key: `grad.${key}`, size }));
    const gradients = pack("grads", [...own, { key: "loss", size: 1 }, ...(options.gradients ?? [])]);
    buffers.push(
      { name: "grads", size: gradients.size },
      { name: "moment1", size: flat },
      { name: "moment2", size: flat },
    );
    for (const [name, slice] of gradients.slices) bind(name, slice);
    buffers.push({ name: "status", size: slotSize });
    bind("status", { buffer: "status", offset: 0, size: statusSize });
    if (options.accumulate === true) {
      buffers.push({ name: "grads_total", size: gradients.size });
      for (const [name, slice] of gradients.slices) bind(totalOf(name), { ...slice, buffer: "grads_total" });
    }
  }
  const names = new Set(buffers.map((b) => b.name));
  const clash = [...bindings].find(
    ([name, slice]) => names.has(name) && !(name === "status" && slice.buffer === "status"),
  );
  if (clash !== undefined) throw new Error(`${clash[0]} is the name of a storage buffer`);
  return { buffers, bindings: Object.fromEntries(bindings) };
}
