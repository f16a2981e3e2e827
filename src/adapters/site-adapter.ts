/** Adapters of one site that are made of other ones. Only here operands are passed on. */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { SiteOperands, SiteResult } from "../methods/index.ts";
import type { SiteAdapter } from "../passes/attach.ts";

/** Operands of the same batch on another weight and bias. */
function withSite(operands: SiteOperands, { weight, bias }: Pick<SiteResult, "weight" | "bias">): SiteOperands {
  const { bias: _bias, ...rest } = operands;
  return { ...rest, weight, ...(bias === undefined ? {} : { bias }) };
}

/** Each is given what the one before made; what they add to the loss adds up, and what they share counts once. */
export const inTurn =
  (adapters: readonly SiteAdapter[]): SiteAdapter =>
  (builder, operands) => {
    let made: SiteResult = operands;
    const losses = new Set<number>();
    for (const adapter of adapters) {
      made = adapter(builder, withSite(operands, made));
      if (made.loss !== undefined) losses.add(made.loss);
    }
    const { loss: _loss, ...result } = made;
    return losses.size === 0 ? result : { ...result, loss: [...losses].reduce((a, b) => builder.plus(a, b)) };
  };

/** Its ports begin with a prefix. */
export const prefixed =
  (prefix: string, adapter: SiteAdapter): SiteAdapter =>
  (builder, operands) =>
    builder.prefixed(prefix, () => adapter(builder, operands));

/** The adapter of an embedding as the layer that shares its table sees it. */
export const transposed =
  (adapter: SiteAdapter): SiteAdapter =>
  (builder, { weight, base, bias, ...rest }) => {
    const turned = (id: number): number => builder.add("op.transpose", [id]);
    const result = adapter(builder, { ...rest, weight: turned(weight), base: turned(base) });
    return { weight: turned(result.weight), ...(bias === undefined ? {} : { bias }) };
  };

/** W' - W0: what is left of it when terms that cancel are gone. */
export const delta =
  (adapter: SiteAdapter) =>
  (builder: Builder, operands: SiteOperands): number => {
    const { base } = operands;
    const { weight } = adapter(builder, withSite(operands, { weight: base }));
    return builder.add("op.add", [weight, builder.add("op.scale", [base, builder.constant(-1)])]);
  };

/** The adapter behind others. Throws `COMPILE-ACTIVE` when it replaces what those made (LN tuning's gains). */
export const building =
  (path: string, adapter: SiteAdapter): SiteAdapter =>
  (builder, operands) => {
    const made = adapter(builder, operands);
    if (operands.weight === operands.base || reaches(builder, made.weight, operands.weight)) return made;
    throw conflict("an adapter replaces what another one makes of this module", path);
  };

export const conflict = (message: string, where: string): WebpeftError =>
  new WebpeftError("COMPILE-ACTIVE", { message, where, help: "use one of the adapters alone" });

/** Whether a node is made of another. */
function reaches(builder: Builder, from: number, to: number): boolean {
  const seen = new Set<number>();
  const open = [from];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === to) return true;
    // Nodes stand behind their inputs.
    if (id < to || seen.has(id)) continue;
    seen.add(id);
    open.push(...builder.node(id).inputs);
  }
  return false;
}
