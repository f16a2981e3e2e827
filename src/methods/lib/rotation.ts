/** Builtins for orthogonal methods: skew matrices, Cayley's map and its series, blocks. */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import { type Builtin, type CallContext, makesTensor } from "./builtin.ts";
import { uniformNode } from "./initial.ts";

/** Place, in the row-major k x k matrix, of every entry of the packed upper triangle. */
function trianglePlaces(k: number): number[] {
  const places: number[] = [];
  for (let i = 0; i < k; i++) for (let j = i + 1; j < k; j++) places.push(i * k + j);
  return places;
}

/**
 * Packed rows [g, k (k - 1) / 2] to skew matrices [g, k, k]: S[i, j] = v[p], S[j, i] = -v[p] for i < j, p row by row.
 * The upper triangle U is one gather, whose inverse table makes the gradient a gather too; S = U - U^T.
 */
function skew(context: CallContext, packed: number, k: number): number {
  const b = context.builder();
  const [g, count] = b.shape(packed) as [number, number];
  const places = trianglePlaces(k);
  if (b.shape(packed).length !== 2 || count !== places.length) {
    throw context.fail(
      `skew cannot fill ${k} x ${k} matrices.`,
      `[blocks, ${places.length}]`,
      `[${b.shape(packed).join(", ")}]`,
    );
  }
  // Row `count` of the padded table is zero and stands for everything on and below the diagonal.
  const forward = new Int32Array(k * k).fill(count);
  places.forEach((place, p) => {
    forward[place] = p;
  });
  const indices = context.table(`skew.indices.${k}`, forward, [k * k]);
  const inverse = context.table(`skew.inverse.${k}`, Int32Array.from([...places, 0]), [count + 1]);
  const table = b.add("pad", [b.transpose(packed, [1, 0])], { low: [0, 0], high: [1, 0] });
  const upper = b.reshape(b.transpose(b.add("gather", [table, indices, inverse]), [1, 0]), [g, k, k]);
  return b.sub(upper, b.transpose(upper, [0, 2, 1]));
}

/** Identity blocks of the shape of `like` [g, k, k]. */
function identityBlocks(b: Builder, like: number): number {
  const [g, k] = b.shape(like) as [number, number];
  const equal = b.add("eq", [b.iota([g, k, k], 1), b.iota([g, k, k], 2)]);
  return b.cast(equal, "f32");
}

const times = (b: Builder, x: number, y: number): number => b.einsum("gij,gjk->gik", x, y);

/** Coefficients of the truncated series, from power 0; PEFT gives 4 terms the polynomial of 3. */
function neumannCoefficients(terms: number): number[] {
  if (terms === 1) return [1];
  if (terms === 2) return [1, 2];
  const degree = terms === 4 ? 3 : Math.max(terms, 4) - 1;
  return [1, ...Array.from({ length: degree - 1 }, () => 2), 1];
}

/** I + sum c_i S^i, in steps of S^2: for the usual 5 terms two products, I + 2 S + 2 S2 + S2 (2 S + S2) with S2 = S S. */
function neumann(b: Builder, s: number, terms: number): number {
  const c = neumannCoefficients(terms);
  const identity = identityBlocks(b, s);
  if (c.length === 1) return identity;
  const square = c.length > 2 ? times(b, s, s) : undefined;
  // sum over i >= 1 of c[from + i] S^i
  const tail = (from: number): number => {
    let sum = b.scale(s, c[from + 1]!);
    if (square === undefined || from + 2 >= c.length) return sum;
    sum = b.plus(sum, b.scale(square, c[from + 2]!));
    return from + 3 < c.length ? b.plus(sum, times(b, square, tail(from + 2))) : sum;
  };
  return b.plus(identity, tail(0));
}

/** (I - S)(I + S)^-1 per block. */
function cayley(b: Builder, s: number): number {
  const identity = identityBlocks(b, s);
  return times(b, b.sub(identity, s), b.add("inverse", [b.plus(identity, s)]));
}

/** Applies `map` to [g, k, k] blocks, whatever axes lead. */
function perBlock(context: CallContext, id: number, map: (b: Builder, blocks: number) => number): number {
  const b = context.builder();
  const shape = b.shape(id);
  const [k, l] = [shape.at(-2), shape.at(-1)];
  if (shape.length < 3 || k !== l)
    throw context.fail("Square blocks are wanted.", "[..., k, k]", `[${shape.join(", ")}]`);
  const blocks = b.reshape(id, [sizeOf(shape) / (k! * k!), k!, k!]);
  return b.reshape(map(b, blocks), shape);
}

/** Block dropout: in one factor, drawn uniformly, int(p g) blocks drawn without repetition become the identity. */
function blockDropout(context: CallContext, blocks: number, p: number): number {
  const b = context.builder();
  const shape = b.shape(blocks);
  const [f, g, k] = shape as [number, number, number];
  const dropped = Math.floor(p * g);
  if (!context.situation.sampling || dropped === 0) return blocks;
  // Drawn once per optimizer step: the offset of the micro-batch is left out.
  const scalars = { ...context.scalars(), sampleOffset: b.constant(0, [], "u32") };
  const draw = (size: number, stream: number) =>
    uniformNode(b, scalars, [size], context.site, 0x2000 + 2 * context.ordinal + stream);
  const chosen = b.add("floor", [b.scale(draw(1, 0), f)]);
  const isFactor = b.add("eq", [b.cast(b.iota([f], 0), "f32"), b.broadcast(b.reshape(chosen, []), [f], [])]);
  const order = draw(g, 1);
  const before = b.add("lt", [b.broadcast(order, [g, g], [1]), b.broadcast(order, [g, g], [0])]);
  const rank = b.sum(b.cast(before, "f32"), [1]);
  const isBlock = b.add("lt", [rank, b.constantLike(rank, dropped)]);
  const replaced = b.add("and", [b.broadcast(isFactor, shape, [0]), b.broadcast(isBlock, shape, [1])]);
  const identity = b.reshape(identityBlocks(b, b.reshape(blocks, [f * g, k, k])), shape);
  return b.select(replaced, identity, blocks);
}

/** Rows scaled so that no skew matrix leaves its ball: v min(1, e / ||S||_F), e = radius / sqrt(rows), ||S||_F = sqrt(2) ||v||. */
function blocksBall(b: Builder, packed: number, radius: number): number {
  const rows = b.shape(packed)[0]!;
  const norm = b.add("sqrt", [b.scale(b.sum(b.mul(packed, packed), [1]), 2)]);
  const limit = b.constantLike(norm, radius / Math.sqrt(rows));
  const factor = b.div(limit, b.add("maximum", [norm, limit]));
  return b.mul(packed, b.broadcast(factor, b.shape(packed), [0]));
}

/** Rows of a matrix scaled so that none is longer than its radius. */
function rowsBall(b: Builder, x: number, radii: number): number {
  const norms = b.add("sqrt", [b.sum(b.mul(x, x), [1])]);
  // A radius of 0 leaves zeros of a row of zeros too.
  const most = b.add("maximum", [b.add("maximum", [norms, radii]), b.constantLike(norms, 1e-30)]);
  return b.mul(x, b.broadcast(b.div(radii, most), b.shape(x), [0]));
}

export const rotationBuiltins: readonly Builtin[] = [
  makesTensor(
    "skew",
    { packed: "tensor", k: "count" },
    "Skew matrices [g, k, k] from the rows [g, k (k - 1) / 2] of their upper triangles.",
    ({ packed, k }, _b, context) => skew(context, packed, k),
  ),
  makesTensor("cayley", { S: "tensor" }, "(I - S)(I + S)^-1 of every block [..., k, k]: exact.", ({ S }, _b, context) =>
    perBlock(context, S, cayley),
  ),
  makesTensor(
    "neumann",
    { S: "tensor", terms: "count" },
    "I + 2 S + ... + 2 S^(terms-2) + S^(terms-1): the series of (I + S)(I - S)^-1, as PEFT cuts it (4 terms are 3).",
    ({ S, terms }, _b, context) => {
      if (terms > 64) throw context.fail("The series is too long.", "at most 64 terms", String(terms));
      return perBlock(context, S, (b, s) => neumann(b, s, terms));
    },
  ),
  makesTensor(
    "block_dropout",
    { blocks: "tensor", p: "number" },
    "In training: of the factors [F, g, k, k] one, drawn uniformly, gets int(p g) of its blocks replaced by the identity.",
    ({ blocks, p }, _b, context) => blockDropout(context, blocks, p),
  ),
  makesTensor(
    "blocks_ball",
    { packed: "tensor", eps: "number" },
    "A projection: rows scaled so that their skew matrices have a Frobenius norm of at most eps / sqrt(rows).",
    ({ packed, eps }, b) => blocksBall(b, packed, eps),
  ),
  makesTensor(
    "rows_ball",
    { x: "tensor", radii: "tensor" },
    "A projection: every row of a matrix scaled so that its norm is at most its radius.",
    ({ x, radii }, b, context) => {
      const [rows, ...more] = b.shape(x);
      if (more.length !== 1 || b.shape(radii).join() !== String(rows))
        throw context.fail("rows_ball wants a radius for every row of a matrix.", `[${rows}]`, `[${b.shape(radii)}]`);
      return rowsBall(b, x, radii);
    },
  ),
];
