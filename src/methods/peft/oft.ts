/** OFT: the input of a layer is rotated by orthogonal blocks. arXiv 2306.07280, 2506.19847. */
import type { Builder } from "../../ir/builder.ts";
import { type CallContext, makesKnown, makesTensor } from "../lib/builtin.ts";
import { identityBlocks, perBlock, times } from "../lib/tensors.ts";
import type { MethodRecord } from "../record.ts";

export const oft = {
  line: 9,
  text: `method oft {
  on linear backwards {   // x @ D_1 @ D_2 of two adapters
    W' = W @ D.T;
    param Q[rows, free] = init_weights ? zeros : normal(0, 0.1) at "oft_R.weight" project if coft blocks_ball(eps);
    let n = in;
  }
  on embedding {   // its output is rotated
    W' = D.T @ W;
    param Q[rows, free] = init_weights ? zeros : normal(0, 0.1) at "oft_embedding_R.weight" project if coft blocks_ball(eps);
    let n = out;
  }
  let D = blockdiag(use_cayley_neumann ? neumann(S, num_cayley_neumann_terms) : cayley(S), g);
  let S = skew(Q, k);
  let wanted = r != 0 ? r : oft_block_size, near = divisor_near(n, wanted);
  let name = r != 0 ? "\`r\`" : "\`oft_block_size\`", k = r != 0 ? n / near : near, g = n / k;
  let around = divisors_around(n, wanted + 1), rows = block_share ? 1 : g, free = k * (k - 1) / 2;
  config r: int = 0 (minimum: 0, seed: present(oft_block_size) ? 0 : 8) "number of blocks",
         oft_block_size: int = 32 (minimum: 0, seed: 0) "width of a block",
         module_dropout: float = 0 (minimum: 0, maximum: 1) "has no effect, as in PEFT",
         coft: bool = false "keep every block near the identity", eps: float = 6e-5 (minimum: 0) "how near, with coft",
         block_share: bool = false "one block for all places of a layer",
         use_cayley_neumann: bool = true "a truncated series instead of an inverse",
         num_cayley_neumann_terms: int = 5 (minimum: 1, maximum: 64), init_weights: bool = true "false: normal instead of zeros";
  require r != 0 or oft_block_size != 0
    else "Either \`r\` or \`oft_block_size\` must be non-zero. Currently, r = {r} and oft_block_size = {oft_block_size}.";
  require r == 0 or oft_block_size == 0
    else "You can only specify either r ({r}) or oft_block_size ({oft_block_size}), but not both simultaneously, because r x oft_block_size == in_features.";
  require peft_version == null or present(oft_block_size)
    else "OFT has been updated since PEFT 0.14.0. Your trained adapter weights are incompatible with the latest version of OFT. Please retrain your adapter weights with newer PEFT versions. Alternatively, downgrade PEFT to version 0.13.0 to use the old adapter weights.";
  require module_dropout == 0 warn "module_dropout = {module_dropout} has no effect: PEFT makes the dropout and never calls it.";
  require not (loaded and use_cayley_neumann and version_before(peft_version, "0.18.0"))
    warn "The series of use_cayley_neumann changed in PEFT 0.18.0: an adapter trained before gives other numbers.";
  require near == wanted warn "Invalid {name} ({wanted})! Adjusted to {near}, the divisor of in_features ({n}) that is nearest.";
  require k > 1 else "Blocks of width 1 have nothing to train: in_features = {n}." help "Divisors near {wanted}: {around}.";
}`,
  profile: { className: "OFTConfig", checks: "a", linearOnly: true, patches: true },
  files: {
    old: {
      part: ".oft_r.",
      message:
        "OFT has been updated since PEFT 0.14.0. Your trained adapter weights are incompatible with the latest version of OFT.",
      expected: "keys that end with oft_R.weight",
    },
  },
  builtins: [
    makesKnown(
      "divisor_near",
      { n: "count", wanted: "count" },
      "The divisor of n nearest to wanted; the lower one on a tie.",
      ({ n, wanted }) => nearestDivisor(n, wanted),
    ),
    makesKnown(
      "version_before",
      { version: "known", limit: "text" },
      "Whether a version such as 0.17.1 is older than limit; a version that is null is older than any.",
      ({ version, limit }) => typeof version !== "string" || versionBefore(version, limit),
    ),
    makesTensor(
      "skew",
      { packed: "tensor", k: "count" },
      "Skew matrices [g, k, k] from the rows [g, k (k - 1) / 2] of their upper triangles.",
      ({ packed, k }, _b, context) => skew(context, packed, k),
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
      "blocks_ball",
      { packed: "tensor", eps: "number" },
      "A projection: rows scaled so that their skew matrices have a Frobenius norm of at most eps / sqrt(rows).",
      ({ packed, eps }, b) => blocksBall(b, packed, eps),
    ),
  ],
} satisfies MethodRecord;

/** The divisor of n nearest to k, the lower one on a tie; n itself when k is at least n. Source: PEFT's `adjust_oft_parameters`. */
function nearestDivisor(n: number, k: number): number {
  if (k >= n) return n;
  const divides = (d: number): boolean => n % d === 0;
  let [lower, higher] = [k, k];
  while (lower > 1 && !divides(lower)) lower--;
  while (higher < n && !divides(higher)) higher++;
  return k - lower <= higher - k ? lower : higher;
}

/** Whether version `a` comes before `b`: numbers between dots are compared, a development suffix is ignored. */
function versionBefore(a: string, b: string): boolean {
  const parts = (version: string): number[] => version.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [x, y] = [parts(a), parts(b)];
  const at = y.findIndex((n, i) => n !== (x[i] ?? 0));
  return at >= 0 && (x[at] ?? 0) < y[at]!;
}

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

/** Rows scaled so that no skew matrix leaves its ball: v min(1, e / ||S||_F), e = radius / sqrt(rows), ||S||_F = sqrt(2) ||v||. */
function blocksBall(b: Builder, packed: number, radius: number): number {
  const rows = b.shape(packed)[0]!;
  const norm = b.add("sqrt", [b.scale(b.sum(b.mul(packed, packed), [1]), 2)]);
  const limit = b.constantLike(norm, radius / Math.sqrt(rows));
  const factor = b.div(limit, b.add("maximum", [norm, limit]));
  return b.mul(packed, b.broadcast(factor, b.shape(packed), [0]));
}
