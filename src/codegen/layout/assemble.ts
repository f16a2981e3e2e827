/**
 * Makes the kernel and the bindings of a dispatch. All parts have one canonical body; a tensor of the body is in the same buffer for all of
 * them, at a place that is a word of the part. A buffer is one binding, over everything that the parts touch of it; only where that is more
 * than a binding may hold its tensors are bound one by one.
 */
import { remembered } from "../../ir/remember.ts";
import { byteWidth } from "../../ir/types.ts";
import type { Canonical } from "../kernel/canonical.ts";
import { type KernelBinding, type KernelIR, type KernelTensor, mostParts, partWords } from "../kernel/kernel.ts";
import { alignUp, type BoundRange } from "../plan.ts";
import type { Body } from "../schedule/body.ts";
import type { Target } from "../target.ts";
import { bindRanges, type Range } from "./bindings.ts";
import type { Placement } from "./ports.ts";

/** A body with the places of its tensors. */
export interface Part {
  readonly body: Body;
  readonly canonical: Canonical;
  readonly places: readonly Placement[];
}

export interface Assembled {
  readonly kernel: KernelIR;
  readonly bindings: readonly BoundRange[];
  /** The uniform block. */
  readonly sizes: readonly number[];
  readonly workgroups: number;
}

/** Kernels by canonical body and by how its tensors are bound. */
const kernels = new WeakMap<Canonical, Map<string, KernelIR>>();

export function assemble(parts: readonly Part[], target: Target): Assembled {
  const { body, canonical, places: first } = parts[0]!;
  const slots = body.tensors.map(({ writes }, i) => slotOf(parts, i, writes));
  const ranges = bindRanges(slots, target);
  const holder = (slot: Range): number =>
    ranges.findIndex((r) => r.buffer === slot.buffer && r.offset <= slot.offset && slot.end <= r.end);
  const bindings = ranges.map((r): BoundRange => {
    const written = slots.some((s) => s.buffer === r.buffer && s.writes);
    const { buffer, offset } = r;
    return { buffer, offset, size: alignUp(r.end - offset, 16), access: written ? "read_write" : "read" };
  });
  const holders = slots.map(holder);
  const access = bindings.map((b) => b.access);
  let key = access.join();
  for (let i = 0; i < slots.length; i++) key += ` ${first[i]!.dtype} ${holders[i]}`;
  const known = remembered(kernels, canonical, () => new Map<string, KernelIR>());
  const kernel = remembered(known, key, () => ({
    doc: body.doc,
    workgroup: body.workgroup,
    features: body.features,
    bindings: access.map((one, i): KernelBinding => ({ name: `b${i}`, access: one })),
    tensors: first.map(({ dtype }, i): KernelTensor => ({ name: `t${i}`, dtype, binding: holders[i]! })),
    shared: body.shared,
    sizes: canonical.words.length,
    words: canonical.words.map((word) => (word.kind === "base" ? `base of %t${word.tensor}` : (word.name ?? ""))),
    bases: slots.map((_slot, i) => canonical.words.findIndex((word) => word.kind === "base" && word.tensor === i)),
    body: canonical.statements,
  }));
  const base = (part: Part, tensor: number): number => {
    const { offset, dtype } = part.places[tensor]!;
    return (offset - ranges[holders[tensor]!]!.offset) / byteWidth(dtype);
  };
  return { kernel, bindings, ...uniformBlock(parts, base) };
}

/** What the parts touch with a tensor. */
function slotOf(parts: readonly Part[], tensor: number, writes: boolean): Range {
  const { buffer, offset: from, size } = parts[0]!.places[tensor]!;
  let [offset, end] = [from, from + size];
  for (let i = 1; i < parts.length; i++) {
    const place = parts[i]!.places[tensor]!;
    offset = Math.min(offset, place.offset);
    end = Math.max(end, place.offset + place.size);
  }
  return { buffer, offset, end, writes };
}

function uniformBlock(
  parts: readonly Part[],
  base: (part: Part, tensor: number) => number,
): { readonly sizes: readonly number[]; readonly workgroups: number } {
  const record = partWords(parts[0]!.canonical.words.length);
  const sizes = new Array<number>(mostParts * record).fill(0);
  let workgroups = 0;
  for (let i = 0; i < mostParts; i++) {
    const part = parts[i];
    sizes[i * record + 1] = workgroups;
    workgroups += part?.body.workgroups ?? 0;
    sizes[i * record] = workgroups;
    if (part === undefined) continue;
    const { words } = part.canonical;
    for (let at = 0; at < words.length; at++) {
      const word = words[at]!;
      sizes[i * record + 2 + at] = word.kind === "size" ? word.value : base(part, word.tensor);
    }
  }
  return { sizes, workgroups };
}
