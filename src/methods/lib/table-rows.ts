/** Builtins that begin a prompt as rows of the table of token embeddings. */
import type { Builder } from "../../ir/builder.ts";
import { tensorValue } from "../dsl/value.ts";
import type { Builtin } from "./builtin.ts";
import { uniformNode } from "./initial.ts";

/** Random streams of these builtins begin here; those of tensors, dropout and gates lie below. */
const rowStreams = 0x5000;

/** Columns of an operator [out, tokens] by whole numbers [count]: [count, out]. */
function columns(b: Builder, operator: number, indices: number): number {
  const table = b.transpose(b.add("op.to_dense", [operator]), [1, 0]);
  return b.add("gather", [table, indices]);
}

export const tableRowBuiltins: readonly Builtin[] = [
  {
    name: "embeddings_of",
    parameters: [
      { name: "table", kind: "operator" },
      { name: "tokens", kind: "known" },
      { name: "count", kind: "count" },
    ],
    doc: "Embeddings [count, out] of known tokens, which are repeated or cut to count. table is W0 of a prompt.",
    call: (context, args) => {
      const [b, table, count] = [context.builder(), args.node("table"), args.number("count")];
      const given = args.known("tokens");
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
      return tensorValue(columns(b, table, context.table("initial_tokens", ids, [count])));
    },
  },
  {
    name: "drawn_embeddings",
    parameters: [
      { name: "table", kind: "operator" },
      { name: "count", kind: "count" },
    ],
    doc: "Embeddings [count, out] of tokens that are drawn by the seed, each as likely as any other, with repetition.",
    call: (context, args) => {
      const [b, count] = [context.builder(), args.number("count")];
      const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
      const u = uniformNode(b, scalars, [count], context.site, rowStreams + context.ordinal);
      return tensorValue(columns(b, args.node("table"), b.cast(b.scale(u, context.in), "i32")));
    },
  },
];
