/** HRA: the weight after a chain of Householder reflections of its input. arXiv 2405.17484. */

import { usual } from "../config/profiles.ts";
import { makesTensor } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";

export const hra = {
  line: 9,
  text: `method hra on linear {
  W' = W @ (identity(in) - (apply_GS ? 2 * V @ M @ U.T : U @ T @ U.T));
  // H_0 ... H_{r-1} = I - U T U.T with T^-1 = I / 2 + the part of U.T U above its diagonal. Of an orthonormal basis of U the product is
  // I - 2 P, P the projection on the span: V M U.T with V = U (G + e I)^-1 and M the inverse of S = U.T V by eight of Newton's steps, which
  // take away what e adds and what V lost to rounding, and stay finite where columns depend on each other and S has no inverse.
  let T = inverse(one / 2 + strictly_upper(G));
  let M = iterate(i: 0..7, x: 2 * one - S, 2 * x - einsum("ij,jk->ik", einsum("ij,jk->ik", x, S), x));
  let one = dense(identity(r)), V = einsum("ni,ij->nj", U, stop_gradient(inverse(G + 0.001 * one))), S = einsum("ni,nj->ij", U, V);
  let U = u / root(sum(u .* u, [0])), G = einsum("ni,nj->ij", U, U);
  param u[in, r] = paired_start ? paired(kaiming_uniform) : kaiming_uniform at "hra_u";
  let paired_start = init_weights and divides(2, r) and not apply_GS;
  config r: int = 8 (above: 0) "number of reflections",
         apply_GS: bool = false "make the columns orthonormal first (Gram-Schmidt)",
         init_weights: bool = true "columns in equal pairs whose reflections cancel, where r is even; false: independent columns";
  require loaded or paired_start or not init_weights
    warn "The symmetric initialization can NOT be performed when r is odd or with apply_GS: a fresh adapter is not the base.";
}`,
  profile: { className: "HRAConfig", shared: usual, checks: "abc", linearOnly: true, patches: true },
  builtins: [
    makesTensor(
      "strictly_upper",
      { x: "tensor" },
      "A matrix with everything on and below its diagonal replaced by 0.",
      ({ x }, b, context) => {
        const shape = b.shape(x);
        if (shape.length !== 2) throw context.fail("strictly_upper wants a matrix.", "[n, m]", `[${shape.join(", ")}]`);
        return b.select(b.add("lt", [b.iota(shape, 0), b.iota(shape, 1)]), x, b.zerosLike(x));
      },
    ),
  ],
} satisfies MethodRecord;
