/** HRA: the weight after a chain of Householder reflections of its input. arXiv 2405.17484. */
import { usual } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";

export const hra = {
  line: 7,
  text: `method hra on linear {
  config r: int = 8 (above: 0) "number of reflections",
         apply_GS: bool = false "make the columns orthonormal first (Gram-Schmidt)",
         init_weights: bool = true "columns in equal pairs whose reflections cancel, where r is even; false: independent columns";
  let paired_start = init_weights and divides(2, r) and not apply_GS;
  require loaded or paired_start or not init_weights
    warn "The symmetric initialization can NOT be performed when r is odd or with apply_GS: a fresh adapter is not the base.";
  param u[in, r] = paired_start ? paired(kaiming_uniform) : kaiming_uniform at "hra_u";
  let U = u / root(sum(u .* u, [0])), G = einsum("ni,nj->ij", U, U);
  // H_0 ... H_{r-1} = I - U T U.T with T^-1 = I / 2 + the part of U.T U above its diagonal. Of an orthonormal basis of U the product is
  // I - 2 P, P the projection on the span: V M U.T with V = U (G + e I)^-1 and M the inverse of S = U.T V by eight of Newton's steps, which
  // take away what e adds and what V lost to rounding, and stay finite where columns depend on each other and S has no inverse.
  let one = dense(identity(r)), V = einsum("ni,ij->nj", U, stop_gradient(inverse(G + 0.001 * one))), S = einsum("ni,nj->ij", U, V);
  let M = iterate(i: 0..7, x: 2 * one - S, 2 * x - einsum("ij,jk->ik", einsum("ij,jk->ik", x, S), x));
  let T = inverse(one / 2 + strictly_upper(G));
  W' = W @ (identity(in) - (apply_GS ? 2 * V @ M @ U.T : U @ T @ U.T));
}`,
  profile: { className: "HRAConfig", shared: usual, checks: "abc", linearOnly: true, patches: true },
} satisfies MethodRecord;
