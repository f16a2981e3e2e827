/** BOFT: the rotation is a product of butterfly factors, and the output gets a scale. arXiv 2311.06243. */
import { type CallContext, makesOperator, makesTensor } from "../lib/builtin.ts";
import { uniformNode } from "../lib/draws.ts";
import { identityBlocks } from "../lib/tensors.ts";
import type { MethodRecord } from "../record.ts";

export const boft = {
  line: 10,
  calls: 6,
  text: `method boft on linear {
  W' = diag(s) @ W @ G;
  let G = prod(i: 0..f, P: butterfly(i, H), P @ blockdiag(Q[i].T) @ P.T);   // (B_{f-1} ... B_0).T
  let Q = block_dropout(cayley((R - R.T) / 2), boft_dropout);
  param R[f, g, H, H] = init_weights ? zeros : normal(0, 0.1) at "boft_R";
  param s[out, 1] = init_weights ? ones : normal(1, 0.1) at "boft_s" as row;
  let f = boft_n_butterfly_factor, size = boft_block_size, num = boft_block_num, span = power(2, f - 1);
  let near_num = divisors_around(in, num), near_size = divisors_around(in, size), H = num != 0 ? in / num : size, g = in / H;
  config boft_block_size: int = 4 (minimum: 0) "width of a block",
         boft_block_num: int = 0 (minimum: 0) "number of blocks",
         boft_n_butterfly_factor: int = 1 (minimum: 1) "number of factors; 1 is plain blocks",
         boft_dropout: float = 0 (minimum: 0, maximum: 1) "part of the blocks of one factor that is left out",
         init_weights: bool = true "false: normal instead of zeros and ones";
  require size != 0 or num != 0
    else "Either \`boft_block_size\` or \`boft_block_num\` must be non-zero. Currently, boft_block_size = {size} and boft_block_num = {num}.";
  require size == 0 or num == 0
    else "You can only specify either boft_block_size ({size}) or boft_block_num ({num}), but not both simultaneously, because boft_block_size x boft_block_num == in_features.";
  require num == 0 or divides(num, in) else "in_features ({in}) must be divisible by boft_block_num ({num})!"
    help "Nearest divisors: {near_num}.";
  require size == 0 or divides(size, in) else "in_features ({in}) must be divisible by boft_block_size ({size})!"
    help "Nearest divisors: {near_size}.";
  require f == 1 or num == 0 or divides(span, num)
    else "boft_block_num ({num}) must be a multiple of 2 raised to the power of boft_n_butterfly_factor - 1 ({span})!";
  require f == 1 or size == 0 or divides(size * span, in)
    else "in_features ({in}) must be a multiple of boft_block_size ({size}) times 2 raised to the power of boft_n_butterfly_factor - 1 ({span})!";
  require f == 1 or divides(2, H) else "With more than one factor the width of a block ({H}) must be even!";
}`,
  profile: { className: "BOFTConfig", checks: "a", linearOnly: true, patches: true },
  files: { carried: ["boft_P"] },
  builtins: [
    makesOperator(
      "butterfly",
      { factor: "number", width: "count" },
      "BOFT's interleaving of factor i: in windows of width 2^i, cut in chunks of width / 2, the even chunks come first.",
      ({ factor, width }, b, context) => {
        const chunks = 2 ** factor;
        if (chunks === 1) return b.add("op.identity", [], { size: context.in });
        const shape = [context.in / (width * chunks), chunks, 2, width / 2];
        if (!shape.every(Number.isInteger))
          throw context.fail(
            "The windows do not fill the input.",
            `a divisor of ${context.in}`,
            String(width * chunks),
          );
        return b.add("op.shuffle", [], { shape, permutation: [0, 2, 1, 3] });
      },
    ),
    makesTensor(
      "block_dropout",
      { blocks: "tensor", p: "number" },
      "In training: of the factors [F, g, k, k] one, drawn uniformly, gets int(p g) of its blocks replaced by the identity.",
      ({ blocks, p }, _b, context) => blockDropout(context, blocks, p),
    ),
  ],
} satisfies MethodRecord;

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
