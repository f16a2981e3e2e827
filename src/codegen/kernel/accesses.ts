/** What statements do with bindings and words: what the printer must know before it writes, and what ways of reading are compared by. */
import { type Expr, type KernelIR, type KernelTensor, lanesOf, type Statement, u32 } from "./kernel.ts";
import { visitExpressions, visitStatements } from "./walk.ts";

export interface BindingType {
  readonly element: "f32" | "i32" | "u32";
  /** Elements of the array that one access covers: `array<vec4f>` has 4, `array<vec2u>` 2. */
  readonly width: 1 | 2 | 4;
}

/**
 * The array type of a binding: wide when some access covers four elements and every store does (single elements can be read from vectors,
 * but written only as a whole). Four packed numbers are two words.
 */
export function bindingType(kernel: KernelIR, binding: number): BindingType {
  const tensors = kernel.tensors.filter((t) => t.binding === binding);
  const isPacked = (t: KernelTensor): boolean => t.dtype === "bf16" || t.dtype === "f16";
  const words = new Set(tensors.map((t) => (t.dtype === "f32" || t.dtype === "i32" ? t.dtype : "u32")));
  const element = words.size === 1 ? [...words][0]! : "u32";
  const slots = new Set(kernel.tensors.flatMap((t, i) => (t.binding === binding ? [i] : [])));
  const { loads, stores } = accesses(kernel.body, slots);
  const all = [...loads, ...stores];
  if (tensors.every(isPacked)) return { element, width: all.every((w) => w === 4) ? 2 : 1 };
  return { element, width: all.includes(4) && stores.every((w) => w === 4) ? 4 : 1 };
}

/** Words of the sizes that statements use inside of loops. */
export function wordsInLoops(body: readonly Statement[]): ReadonlySet<number> {
  const found = new Set<number>();
  const add = (e: Expr): void => {
    if (e.kind === "size") found.add(e.index);
  };
  const loops = (statements: readonly Statement[]): void => {
    for (const s of statements) {
      if (s.kind === "if") [s.body, s.otherwise ?? []].forEach(loops);
      // The start of a loop is read once.
      if (s.kind === "for") visitExpressions([{ ...s, from: u32(0), step: u32(1) }], add);
    }
  };
  loops(body);
  return found;
}

interface Accesses {
  readonly loads: readonly number[];
  readonly stores: readonly number[];
}

/** Numbers of elements that the accesses to some tensors cover. */
function accesses(body: readonly Statement[], slots: ReadonlySet<number>): Accesses {
  const loads: number[] = [];
  const stores: number[] = [];
  visitExpressions(body, (e) => {
    if (e.kind === "load" && slots.has(e.tensor)) loads.push(e.lanes);
  });
  visitStatements(body, (s) => {
    if (s.kind === "store" && slots.has(s.tensor)) stores.push(lanesOf(s.value));
  });
  return { loads, stores };
}

/** Load instructions of the text. */
export function countLoads(body: readonly Statement[]): number {
  let count = 0;
  visitExpressions(body, (e) => {
    if (e.kind === "load") count++;
  });
  return count;
}
