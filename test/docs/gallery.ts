/** Methods from papers as docs/language.md shows them, by what is said of each. */
export const gallery: Readonly<Record<string, string>> = {
  "KronA, a Kronecker product": `method krona on linear {
  config rows: int = 4 (minimum: 1) "rows of A", columns: int = 8 (minimum: 1) "columns of A", s: float = 2 "scale";
  require divides(rows, out) and divides(columns, in) else "A of {rows} x {columns} does not divide {out} x {in}";
  param A[rows, columns] = kaiming_uniform at "krona_A";
  param B[out / rows, in / columns] = zeros at "krona_B";
  W' = W + s * kron(A, B);
}`,
  "DEFT, a projection and what replaces it; R begins as what P takes away, so that nothing changes at first": `method deft on linear {
  config r: int = 2 (minimum: 1) "rank";
  param P[out, r] = normal(0, 1) at "deft_P";
  param R[r, in] = inverse(P.T @ P) @ P.T @ W0 at "deft_R";
  let projection = P @ inverse(P.T @ P) @ P.T;
  W' = (identity(out) - projection) @ W + P @ R;
}`,
  "GLoRA, with a bias where the layer has one": `method glora on linear {
  config r: int = 2 (minimum: 1) "rank";
  param Ad[out, r] = zeros at "glora_Ad";
  param Au[r, in] = kaiming_uniform at "glora_Au";
  param Bd[out, r] = zeros at "glora_Bd";
  param Bu[r, in] = kaiming_uniform at "glora_Bu";
  param C[in] = zeros at "glora_C" when site.has_bias;
  param D[out] = zeros at "glora_D" when site.has_bias;
  param E[out] = zeros at "glora_E" when site.has_bias;
  W' = W .* (1 + dense(Ad @ Au)) + Bd @ Bu;
  b' = site.has_bias ? b + W @ C + D .* b + E : b;
}`,
  "LoRETTA, a tensor train in a loop whose x grows": `method loretta on linear {
  config r: int = 4 "rank", t: int = 2 "rank of the train", modes: int_list = [2, 4] "its shape", s: float = 2 "scale";
  require divides(modes[0] * modes[1], in) else "the train does not divide {in}";
  param G[k == 0 ? 1 : t, modes[k], t] for k: 0 .. size(modes) = normal(0, 1) at "loretta_G.{k}";
  param last[t, in / (modes[0] * modes[1]) * r] = normal at "loretta_last";
  param B[out, r] = zeros at "loretta_B";
  let chain = iterate(k: 0 .. size(modes), x: ones_row, reshape(einsum("nt,tmu->nmu", x, G[k]), [size(x, 0) * modes[k], t]));
  let ones_row = dense(identity(1));
  W' = W + s * B @ reshape(chain @ last, [r, in]);
}`,
  "PEANuT, a network of the weight": `method peanut on linear {
  config r: int = 4 (minimum: 1) "width", depth: int = 2 (minimum: 0) "hidden layers", act: string = "relu" (one_of: ["relu", "tanh"]);
  param A[in, r] = kaiming_uniform at "peanut_A";
  param H[r, r] for k: 0 .. depth = kaiming_uniform at "peanut_H.{k}";
  param B[r, in] = zeros at "peanut_B";
  let h = iterate(k: 0 .. depth, x: W0 @ A, act == "relu" ? relu(x @ H[k]) : tanh(x @ H[k]));
  W' = W + h @ B;
}`,
};
