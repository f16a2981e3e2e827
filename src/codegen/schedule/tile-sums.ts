/** The sums of a tile of a contraction, of one column or of four each, and what is done with them when they are complete. */
import { opRecord } from "../../ir/registry.ts";
import { binary, type Expr, f32 } from "../kernel/kernel.ts";
import type { ScheduleContext } from "./body.ts";
import type { SumLoop } from "./long-sums.ts";
import type { Parts } from "./segment.ts";

/** A sum, as it is read. */
const sumOf = ({ wide }: Pick<Parts, "wide">, name: string): Expr => ({
  kind: "variable",
  name,
  type: "f32",
  lanes: wide ? 4 : 1,
});

/** What sums begin with, and how they are read. */
export const sumsOf = (k: Parts): Pick<SumLoop, "zero" | "sumOf"> => ({
  zero: k.wide ? k.c.emitter.spread(f32(0)) : f32(0),
  sumOf: (name) => sumOf(k, name),
});

/** Adds a product to a sum. */
export function accumulate(k: Parts, name: string, a: Expr, b: Expr): void {
  k.c.emitter.push({ kind: "assign", name, value: binary("+", sumOf(k, name), binary("*", a, b)) });
}

/** Pointwise ops that are done for every element of the tile. */
export function epilogueOps(c: ScheduleContext): number {
  const seen = new Set<number>();
  const visit = (id: number): void => {
    if (seen.has(id) || c.graph.nodes[id]!.op === "einsum" || c.emitter.isInMemory(id)) return;
    seen.add(id);
    c.graph.nodes[id]!.inputs.forEach(visit);
  };
  c.unit.stored.forEach(visit);
  return [...seen].filter((id) => opRecord(c.graph.nodes[id]!.op).opClass === "pointwise").length;
}

/**
 * The sums of a tile of so many rows and columns (or vectors of columns), to which `add` adds every product: by accumulator, row and column.
 * Where the target parks sums, those that wait for something else do so in an array: a register that is needed behind a loop for anything but
 * to be stored would be written to memory in every turn of it.
 */
export function tileSums(
  k: Parts,
  [rows, columns]: readonly [number, number],
  add: (einsum: number, names: readonly (readonly string[])[]) => void,
): Expr[][][] {
  const { emitter, tuning } = k.c;
  const { zero } = sumsOf(k);
  const line = (count: number): undefined[] => new Array<undefined>(count).fill(undefined);
  const begin = (root: number): string[][] => {
    const names = line(rows).map(() => line(columns).map(() => emitter.fresh("c", root)));
    for (const name of names.flat()) emitter.push({ kind: "var", name, value: zero });
    return names;
  };
  const isParked = tuning.parksSums && (k.accumulators.length > 1 || epilogueOps(k.c) > 0);
  const begun = isParked ? [] : k.accumulators.map(({ root }) => begin(root));
  return k.accumulators.map(({ root, einsums }, a) => {
    const names = begun[a] ?? begin(root);
    for (const einsum of einsums) add(einsum, names);
    return isParked ? park(k, names, root) : names.map((row) => row.map((name) => sumOf(k, name)));
  });
}

function park(k: Parts, names: readonly (readonly string[])[], root: number): Expr[][] {
  const { emitter } = k.c;
  const array = emitter.fresh("tile", root);
  emitter.push({ kind: "array", name: array, values: names.flat().map((name) => sumOf(k, name)) });
  return names.map((row, i) =>
    row.map((_name, j) => {
      const index: Expr = { kind: "literal", type: "u32", value: i * row.length + j };
      return { kind: "item", array, index, type: "f32", lanes: k.wide ? 4 : 1 };
    }),
  );
}
