/** Counts the load instructions of statements, to compare ways of reading. */
import { childrenOf, type Expr, type Statement } from "./kernel.ts";

export function countLoads(body: readonly Statement[]): number {
  const inExpr = (e: Expr): number =>
    childrenOf(e).reduce((sum, child) => sum + inExpr(child), e.kind === "load" ? 1 : 0);
  return body.reduce((sum, s) => {
    switch (s.kind) {
      case "let":
      case "var":
      case "assign":
        return sum + inExpr(s.value);
      case "array":
        return sum + s.values.reduce((n, value) => n + inExpr(value), 0);
      case "for":
        return sum + countLoads(s.body);
      case "if":
        return sum + inExpr(s.condition) + countLoads(s.body) + countLoads(s.otherwise ?? []);
      case "store":
      case "store-shared":
        return sum + inExpr(s.index) + inExpr(s.value);
      default:
        return sum;
    }
  }, 0);
}
