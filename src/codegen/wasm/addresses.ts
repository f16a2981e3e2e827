/**
 * Addresses of loads and stores: a tree and the constant that goes into the instruction. In a loop, what grows by the same number every turn
 * is a pointer of its own; elements that differ by constants share it.
 */
import { get, i32, type Tree, tree } from "./function-writer.ts";
import { formTree, type IndexForm, keyOfForm } from "./index-form.ts";
import type { Context, Loop } from "./specialization.ts";

export interface Address {
  readonly tree: Tree;
  readonly offset: number;
}

/** Pointers of one loop: with more the registers run out. */
const mostPointers = 8;

/** The address of `bytes` at an element of `width` bytes of something. Where it may lie outside of the memory it is kept inside. */
export function addressOf(c: Context, form: IndexForm, width: number, bytes: number, of: number | "own"): Address {
  const { memoryBytes, highest } = c.specialization;
  const end = form.hi * width + bytes;
  const isInside = form.lo >= 0 && (of === "own" || highest[of]! + end <= memoryBytes);
  if (!isInside) c.reach.fixed = true;
  else if (of !== "own") c.reach.ends[of] = Math.max(c.reach.ends[of] ?? 0, end);
  if (!isInside) return { tree: keptInside(c, formTree(form, width), memoryBytes - bytes), offset: 0 };
  // What is left without the constant must not be negative: the sum of address and offset does not wrap around.
  const folds = form.constant > 0 && form.lo - form.constant >= 0;
  const rest = folds ? { ...form, constant: 0 } : form;
  const offset = folds ? form.constant * width : 0;
  return { tree: pointerOf(c, rest, width) ?? formTree(rest, width), offset };
}

function keptInside(c: Context, address: Tree, last: number): Tree {
  const named = c.writer.bind("i32", address);
  return tree("select", [named, i32(last), tree("i32.lt_u", [named, i32(last)])]);
}

function pointerOf(c: Context, form: IndexForm, width: number): Tree | undefined {
  const loop = c.loops.at(-1);
  const factor = loop === undefined ? undefined : form.terms.get(loop.variable);
  if (loop === undefined || factor === undefined || !isKnownBefore(c, form, loop)) return undefined;
  const key = `${keyOfForm(form)}+${form.constant}*${width}`;
  const known = loop.pointers.get(key);
  if (known !== undefined) return get(known.local);
  if (loop.pointers.size === mostPointers) return undefined;
  const local = c.writer.local("i32");
  loop.pointers.set(key, { local, form, width, stride: factor * loop.step * width });
  return get(local);
}

const isKnownBefore = (c: Context, { terms }: IndexForm, loop: Loop): boolean =>
  [...terms.keys()].every((local) => local === loop.variable || (local < loop.firstInside && !c.variables.has(local)));
