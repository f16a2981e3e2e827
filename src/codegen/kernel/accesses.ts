/** What statements do with bindings and words: what the printer must know before it writes, and what ways of reading are compared by. */
import { type Expr, type KernelIR, type KernelTensor, lanesOf, type Statement, u32 } from "./kernel.ts";
import { visitExpressions, visitStatements } from "./walk.ts";

export interface BindingType {
  readonly element: "f32" | "i32" | "u32";
  /** Elements of the array that one access covers: `array<vec4f>` has 4, `array<vec2u>` 2. */
  readonly width: 1 | 2 | 4;
}

/**
 * The array types of the bindings: wide when some access covers four elements and every store does (single elements can be read from vectors,
 * but written only as a whole). Four packed numbers are two words.
 */
export function bindingTypes(kernel: KernelIR): BindingType[] {
  const { loads, stores } = accesses(kernel);
  return kernel.bindings.map((_binding, i) => {
    const tensors = kernel.tensors.filter((t) => t.binding === i);
    const words = new Set(tensors.map((t) => (t.dtype === "f32" || t.dtype === "i32" ? t.dtype : "u32")));
    const element = words.size === 1 ? [...words][0]! : "u32";
    const [read, written] = [loads[i]!, stores[i]!];
    const isWide = (covered: ReadonlySet<number>): boolean => !covered.has(1);
    if (tensors.every(isPacked)) return { element, width: isWide(read) && isWide(written) ? 2 : 1 };
    return { element, width: (read.has(4) || written.has(4)) && isWide(written) ? 4 : 1 };
  });
}

const isPacked = ({ dtype }: KernelTensor): boolean => dtype === "bf16" || dtype === "f16";

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

/** Numbers of elements that single accesses cover, by binding. */
function accesses({ body, bindings, tensors }: KernelIR): Readonly<Record<"loads" | "stores", Set<number>[]>> {
  const [loads, stores] = [bindings.map(() => new Set<number>()), bindings.map(() => new Set<number>())];
  visitExpressions(body, (e) => {
    if (e.kind === "load") loads[tensors[e.tensor]!.binding]!.add(e.lanes);
  });
  visitStatements(body, (s) => {
    if (s.kind === "store") stores[tensors[s.tensor]!.binding]!.add(lanesOf(s.value));
  });
  return { loads, stores };
}

/** Words that loops end at. */
export function endsOfLoops({ body }: KernelIR): ReadonlySet<number> {
  const found = new Set<number>();
  visitStatements(body, (s) => s.kind === "for" && s.to.kind === "size" && found.add(s.to.index));
  return found;
}

/** Whether invocations of a workgroup wait for each other. */
export function meets({ body }: KernelIR): boolean {
  let found = false;
  visitStatements(body, ({ kind }) => {
    found ||= kind === "barrier" || kind === "subgroup";
  });
  return found;
}
