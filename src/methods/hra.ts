/** HRA: the weight after a chain of Householder reflections of its input. arXiv 2405.17484. */
import { lazyMethod } from "./dsl/method.ts";

export const hra = lazyMethod(
  "hra",
  `method hra on linear {
  config r: int = 8 (above: 0) "number of reflections",
         apply_GS: bool = false "make the columns orthonormal first (Gram-Schmidt)",
         init_weights: bool = true "columns in equal pairs whose reflections cancel, where r is even; false: independent columns";
  let paired_start = init_weights and divides(2, r) and not apply_GS;
  require loaded or paired_start or not init_weights
    warn "The symmetric initialization can NOT be performed when r is odd or with apply_GS: a fresh adapter is not the base.";
  param u[in, r] = paired_start ? paired(kaiming_uniform) : kaiming_uniform at "hra_u";
  let U = u / root(sum(u .* u, [0])), G = einsum("ni,nj->ij", U, U);
  // H_0 ... H_{r-1} = I - U T U.T with T^-1 = I / 2 + the part of U.T U above its diagonal; of an orthonormal basis of U the
  // product is I - 2 U (U.T U)^-1 U.T.
  let T = inverse(apply_GS ? G / 2 : dense(identity(r)) / 2 + strictly_upper(G));
  W' = W @ (identity(in) - U @ T @ U.T);
}`,
  "hra.ts",
);
