/** Builtins that begin a prompt as rows of the table of token embeddings. */
import type { Builder } from "../../ir/builder.ts";
import { type Builtin, makesTensor } from "./builtin.ts";
import { uniformNode } from "./initial.ts";

/** Random streams of these builtins begin here; those of tensors, dropout and gates lie below. */
const rowStreams = 0x5000;

/** Columns of an operator [out, tokens] by whole numbers [count]: [count, out]. */
function columns(b: Builder, operator: number, indices: number): number {
  const table = b.transpose(b.add("op.to_dense", [operator]), [1, 0]);
  return b.add("gather", [table, indices]);
}

export const tableRowBuiltins: readonly Builtin[] = [
  makesTensor(
    "embeddings_of",
    { table: "operator", tokens: "known", count: "count" },
    "Embeddings [count, out] of known tokens, which are repeated or cut to count. table is W0 of a prompt.",
    ({ table, tokens: given, count }, b, context) => {
      const tokens = Array.isArray(given) ? (given as readonly unknown[]) : [];
      const fits = (token: unknown): boolean =>
        Number.isSafeInteger(token) && (token as number) >= 0 && (token as number) < context.in;
      if (tokens.length === 0 || !tokens.every(fits))
        throw context.fail(
          "These are no tokens of the model.",
          `ids from 0 to ${context.in - 1}`,
          JSON.stringify(given),
        );
      const ids = Int32Array.from({ length: count }, (_unused, i) => tokens[i % tokens.length] as number);
      return columns(b, table, context.table("initial_tokens", ids, [count]));
    },
  ),
  makesTensor(
    "drawn_embeddings",
    { table: "operator", count: "count" },
    "Embeddings [count, out] of tokens that are drawn by the seed, each as likely as any other, with repetition.",
    ({ table, count }, b, context) => {
      const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
      const u = uniformNode(b, scalars, [count], context.site, rowStreams + context.ordinal);
      return columns(b, table, b.cast(b.scale(u, context.in), "i32"));
    },
  ),
];
