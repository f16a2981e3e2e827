/**
 * The module of a plan: one function for every kernel and every set of sizes that it runs with, and for every dispatch which functions to
 * call. Equal layers differ in the places of their tensors only, so that they share their functions.
 */
import { remembered } from "../../ir/remember.ts";
import { byteWidth } from "../../ir/types.ts";
import { type KernelIR, mostParts, partWords } from "../kernel/kernel.ts";
import type { Dispatch, Generated } from "../plan.ts";
import type { WasmModule } from "./instructions.ts";
import { mathFunctions } from "./math.ts";
import { kernelFunction } from "./print-kernel.ts";

/** Where things are in the memory of a program. */
interface BufferMap {
  readonly bytes: number;
  addressOf(buffer: string): number;
}

/** A part of a dispatch. */
interface WasmCall {
  readonly name: string;
  /** Addresses of the tensors, in the order of their words. */
  readonly places: readonly number[];
  readonly blocks: number;
}

export interface LinkedProgram {
  /** The module but for its memory. */
  readonly module: Omit<WasmModule, "memory">;
  readonly calls: ReadonlyMap<Dispatch, readonly WasmCall[]>;
  /** Bytes that a thread needs for itself. */
  readonly scratchBytes: number;
}

export interface LinkOptions {
  readonly map: BufferMap;
  readonly fuses: boolean;
  /** The kernel's part of the names of functions: not their hashes unless given, since kernels are printed to know them. */
  nameOf?(dispatch: Dispatch): string;
}

/** The global with the address of a thread's own memory. */
export const scratchGlobal = "scratch";

interface Variant {
  readonly name: string;
  readonly kernel: KernelIR;
  readonly sizes: readonly (number | undefined)[];
  readonly blocks: number;
  readonly highest: number[];
}

export function link(generated: Generated, options: LinkOptions): LinkedProgram {
  const { map, fuses, nameOf = (dispatch: Dispatch) => generated.sourceOf(dispatch).kind } = options;
  const variants = new Map<string, Variant>();
  const calls = new Map<Dispatch, readonly WasmCall[]>();
  const numbers = new Map<KernelIR, number>();
  for (const dispatch of generated.plan.stages.flatMap((stage) => stage.dispatches)) {
    const { ir } = generated.sourceOf(dispatch);
    const number = remembered(numbers, ir, () => numbers.size);
    calls.set(dispatch, callsOf(dispatch, { ir, number, name: nameOf(dispatch) }, map, variants));
  }
  const printed = [...variants.values()].map(({ name, ...variant }) =>
    kernelFunction(name, { ...variant, memoryBytes: map.bytes, fuses }),
  );
  const functions = [...mathFunctions(), ...printed.map(({ code }) => code)];
  return {
    module: { globals: [scratchGlobal], functions },
    calls,
    scratchBytes: printed.reduce((most, { scratchBytes }) => Math.max(most, scratchBytes), 0),
  };
}

/** The parts of a dispatch; variants that are new are added to those that are known. */
function callsOf(
  dispatch: Dispatch,
  { ir, number, name }: { readonly ir: KernelIR; readonly number: number; readonly name: string },
  map: BufferMap,
  variants: Map<string, Variant>,
): WasmCall[] {
  const record = partWords(ir.sizes);
  const tensorOf = new Map(ir.bases.map((word, tensor) => [word, tensor]));
  return Array.from({ length: mostParts }, (_unused, part) => part).flatMap((part): WasmCall[] => {
    const [end, first, ...given] = dispatch.sizes.slice(part * record, (part + 1) * record) as [number, number];
    const blocks = end - first;
    if (blocks === 0) return [];
    const words = given.slice(0, ir.sizes) as number[];
    const sizes = words.map((value, word) => (tensorOf.has(word) ? undefined : value));
    const key = JSON.stringify([number, blocks, sizes]);
    const known = variants.get(key);
    const highest = known?.highest ?? ir.tensors.map(() => 0);
    const variant = known ?? { name: `${name}_${variants.size}`, kernel: ir, sizes, blocks, highest };
    variants.set(key, variant);
    const places = words.flatMap((value, word) => {
      const tensor = tensorOf.get(word);
      if (tensor === undefined) return [];
      const { binding, dtype } = ir.tensors[tensor]!;
      const { buffer, offset } = dispatch.bindings[binding]!;
      const address = map.addressOf(buffer) + offset + value * byteWidth(dtype);
      highest[tensor] = Math.max(highest[tensor]!, address);
      return [address];
    });
    return [{ name: variant.name, places, blocks }];
  });
}
