/** What a kernel does with its bindings and words, as far as the printer must know before it writes. */
import {
  childrenOf,
  type Expr,
  type KernelIR,
  type KernelTensor,
  lanesOf,
  mapStatements,
  type Statement,
} from "./kernel.ts";

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
  const visit = (e: Expr): void => {
    if (e.kind === "size") found.add(e.index);
    childrenOf(e).forEach(visit);
  };
  const loops = (statements: readonly Statement[]): void => {
    for (const s of statements) {
      if (s.kind === "if") [s.body, s.otherwise ?? []].forEach(loops);
      if (s.kind !== "for") continue;
      visit(s.to);
      mapStatements(s.body, (e) => {
        visit(e);
        return e;
      });
    }
  };
  loops(body);
  return found;
}

interface Accesses {
  readonly loads: number[];
  readonly stores: number[];
}

/** Numbers of elements that the accesses to some tensors cover. */
function accesses(
  body: readonly Statement[],
  slots: ReadonlySet<number>,
  found: Accesses = { loads: [], stores: [] },
): Accesses {
  const visit = (e: Expr): void => {
    if (e.kind === "load" && slots.has(e.tensor)) found.loads.push(e.lanes);
    childrenOf(e).forEach(visit);
  };
  for (const s of body) {
    if (s.kind === "let" || s.kind === "var" || s.kind === "assign") visit(s.value);
    if (s.kind === "array") s.values.forEach(visit);
    if (s.kind === "store" || s.kind === "store-shared") [s.index, s.value].forEach(visit);
    if (s.kind === "store" && slots.has(s.tensor)) found.stores.push(lanesOf(s.value));
    if (s.kind === "for") [s.from, s.to, s.step].forEach(visit);
    if (s.kind === "if") visit(s.condition);
    if (s.kind === "for" || s.kind === "if") accesses(s.body, slots, found);
    if (s.kind === "if") accesses(s.otherwise ?? [], slots, found);
  }
  return found;
}
