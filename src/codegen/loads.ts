/** Counts the load instructions of statements, to compare ways of reading. */
import { type Statement, visitExpressions } from "./kernel.ts";

export function countLoads(body: readonly Statement[]): number {
  let count = 0;
  visitExpressions(body, (e) => {
    if (e.kind === "load") count++;
  });
  return count;
}
