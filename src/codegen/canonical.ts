/**
 * Canonical form: names by order of appearance, and sizes as words of a uniform block, so that kernels that differ in extents only are one
 * kernel. Equal sizes share a word. Small ones stay in the text: they decide unrolling and are the same everywhere.
 */
import { type Expr, type KernelIR, type KernelTensor, mapExpr, mapStatements, type Statement } from "./kernel.ts";

/** Sizes up to this one stay literals. */
const smallSize = 4;

export interface Canonical {
  readonly kernel: KernelIR;
  /** Values of the words of the uniform block. */
  readonly sizes: readonly number[];
}

export function canonicalize(kernel: Omit<KernelIR, "sizes">): Canonical {
  const words = new Map<number, number>();
  const word = (value: number): Expr => {
    if (!words.has(value)) words.set(value, words.size);
    return { kind: "size", index: words.get(value)!, type: "u32" };
  };
  const names = new Map<string, string>();
  const visit = (e: Expr): Expr => {
    if (e.kind === "literal" && e.size === true) {
      return e.value > smallSize ? word(e.value) : { kind: "literal", type: e.type, value: e.value };
    }
    return e.kind === "variable" ? { ...e, name: names.get(e.name) ?? e.name } : e;
  };
  const rename = (body: readonly Statement[]): Statement[] =>
    body.map((s): Statement => {
      if (s.kind === "let" || s.kind === "var") {
        const [made] = mapStatements([s], (e) => mapExpr(e, visit)) as [typeof s];
        return { ...made, name: newName(names, s.name) };
      }
      if (s.kind === "assign")
        return { ...mapStatements([s], (e) => mapExpr(e, visit))[0]!, name: names.get(s.name)! } as Statement;
      if (s.kind === "for") {
        const [from, to, step] = [s.from, s.to, s.step].map((e) => mapExpr(e, visit)) as [Expr, Expr, Expr];
        const name = newName(names, s.name);
        return { ...s, name, from, to, step, body: rename(s.body) };
      }
      if (s.kind === "if") {
        const made = { ...s, condition: mapExpr(s.condition, visit), body: rename(s.body) };
        return s.otherwise === undefined ? made : { ...made, otherwise: rename(s.otherwise) };
      }
      return mapStatements([s], (e) => mapExpr(e, visit))[0]!;
    });
  const tensors = kernel.tensors.map(
    (t): KernelTensor => ({
      ...t,
      base: t.base.kind === "literal" && t.base.size === true ? word(t.base.value) : t.base,
    }),
  );
  const body = rename(kernel.body);
  return { kernel: { ...kernel, tensors, body, sizes: words.size }, sizes: [...words.keys()] };
}

function newName(names: Map<string, string>, from: string): string {
  const prefix = from.replace(/[0-9]+$/, "");
  const count = [...names.values()].filter((n) => n.replace(/[0-9]+$/, "") === prefix).length;
  const made = from === "block" ? "block" : `${prefix}${count}`;
  names.set(from, made);
  return made;
}

/** FNV-1a of a text, eight hexadecimal digits: the tail of a kernel's name. */
export function textHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
