/**
 * Long sums. One running f32 sum of n terms is off by up to n roundings, which shows where terms cancel: the gradient behind the logits of
 * 50,000 tokens was off by 1e-3. Sums of many terms go in blocks of about the square root of their number, whose sums are added up.
 */
import type { Affine } from "../emit/affine.ts";
import type { Emitter } from "../emit/emitter.ts";
import { binary, type Expr, sizeLiteral, u32 } from "../kernel/kernel.ts";

/** Terms from which a sum goes in blocks. */
export const longSum = 4096;

export interface SumLoop {
  /** First turn, turns in all, and turns from one of this invocation to its next. */
  readonly from: Expr;
  readonly turns: number;
  readonly step: number;
  /** Names of the sums, with the value that they begin with. */
  readonly sums: readonly string[];
  readonly zero: Expr;
  readonly sumOf: (name: string) => Expr;
}

/** Calls `make` for every turn with the names of the variables to add to: the sums themselves, or those of a block. `terms` of a sum in all. */
export function loopOfSums(
  emitter: Emitter,
  loop: SumLoop,
  terms: number,
  make: (at: Affine, names: readonly string[]) => void,
): void {
  const { from, turns, step, sums } = loop;
  if (terms <= longSum) {
    emitter.loop(from, sizeLiteral(turns), u32(step), turns, (at) => make(at, sums));
    return;
  }
  const block = Math.ceil(Math.sqrt(turns / step)) * step;
  const blocks = Math.ceil(turns / block);
  emitter.loop(u32(0), sizeLiteral(blocks), u32(1), blocks, (b) => {
    const names = sums.map((sum) => emitter.fresh("piece", emitter.held.get(sum)));
    for (const name of names) emitter.push({ kind: "var", name, value: loop.zero });
    const begin = emitter.bind({
      expr: binary("*", emitter.address(b).expr, sizeLiteral(block)),
      depth: emitter.depth,
    });
    const args = [binary("+", begin.expr, sizeLiteral(block)), sizeLiteral(turns)];
    const end = emitter.bind({
      expr: { kind: "op", op: "minimum", args, type: "u32", lanes: 1 },
      depth: emitter.depth,
    });
    emitter.loop(binary("+", begin.expr, from), end.expr, u32(step), turns, (at) => make(at, names));
    sums.forEach((sum, i) => {
      emitter.push({ kind: "assign", name: sum, value: binary("+", loop.sumOf(sum), loop.sumOf(names[i]!)) });
    });
  });
}
