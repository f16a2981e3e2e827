/** What ways of reading are compared by: how many loads they take, counted without writing them. */
import { lanesOf, u32 } from "../kernel/kernel.ts";
import type { Affine } from "./affine.ts";
import type { Val } from "./block-writer.ts";
import { Emitter } from "./emitter.ts";

const nowhere: Val = { expr: u32(0), depth: 0 };

export class LoadCounter extends Emitter {
  private loads = 0;

  /** Loads of the values of nodes at an index, together. */
  count(nodes: readonly number[], index: readonly Affine[]): number {
    const before = this.loads;
    for (const node of nodes) this.value(node, index);
    return this.loads - before;
  }

  override bind(value: Val): Val {
    const { expr } = value;
    if (expr.kind === "load") this.loads++;
    if (expr.kind === "variable" || expr.kind === "literal") return value;
    return { expr: { kind: "variable", name: this.fresh(), type: expr.type, lanes: lanesOf(expr) }, depth: 0 };
  }

  override address(): Val {
    return nowhere;
  }
}
