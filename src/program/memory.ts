/**
 * What memory is for, in bytes. What is forecast of a program and what an instance counts have the same parts:
 *
 * - `weights`      tensors of the base, in every order in which kernels read them
 * - `tables`       constant tables, and what is prepared of frozen data
 * - `parameters`   trained tensors, their gradients and moments, and values of parameters alone
 * - `caches`       what else outlives a run
 * - `activations`  values between kernels, of the stage that needs most
 * - `results`      inputs of a run, and what it gives
 * - `kernels`      sizes and places that kernels read, and memory of their own
 * - `staging`      through which results are read
 */
const memoryParts = [
  "weights",
  "tables",
  "parameters",
  "caches",
  "activations",
  "results",
  "kernels",
  "staging",
] as const;

export type MemoryPart = (typeof memoryParts)[number];

export type MemoryUse = Readonly<Record<MemoryPart, number>>;

/** Uses added up, part by part. */
export const addedUse = (...uses: readonly Partial<MemoryUse>[]): MemoryUse =>
  Object.fromEntries(
    memoryParts.map((part) => [part, uses.reduce((sum, use) => sum + (use[part] ?? 0), 0)]),
  ) as MemoryUse;

export const bytesInUse = (use: Readonly<Record<string, number>>): number =>
  Object.values(use).reduce((sum, bytes) => sum + bytes, 0);

/** What a storage buffer is for, by its name. */
const partOfBuffer: Readonly<Record<string, MemoryPart>> = {
  params: "parameters",
  grads: "parameters",
  grads_total: "parameters",
  moment1: "parameters",
  moment2: "parameters",
  status: "parameters",
  hoisted: "parameters",
  derived: "tables",
  reports: "results",
};

export const partOfStorage = (buffer: string): MemoryPart =>
  Object.hasOwn(partOfBuffer, buffer) ? partOfBuffer[buffer]! : "caches";
