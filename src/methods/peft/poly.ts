/** Polytropon: skills of low rank, mixed for every sample by the task that it belongs to. arXiv 2202.13914, 2211.03831. */

import { withTargets } from "../config/profiles.ts";
import { makesOperator, makesTensor, optional } from "../lib/builtin.ts";
import { gateStreams, logisticNoise, uniformNode } from "../lib/draws.ts";
import type { MethodRecord } from "../record.ts";

export const poly = {
  line: 11,
  calls: -3,
  text: `method poly on linear {
  W' = W + 1 / r * outward @ inward;
  let outward = blockdiag(reshape(transpose(B, [0, 3, 1, 2]), [S, out / S, K * r])) @ mixture @ fold(width, r).T;
  let inward = fold(width, r) @ mixture @ blockdiag(reshape(transpose(A, [0, 1, 3, 2]), [S, K * r, in / S]));
  // Every skill of every block is applied; the mixture weighs what comes out and what goes in, and fold adds up what was mixed.
  let mixture = per_sample(reshape(weights, [samples, S * K]), r);
  let weights = Z / (reshape(sum(Z, [2]), [samples, S, 1]) + 1e-12);
  let Z = reshape(relaxed_bits(gather(routes, task_ids)), [samples, S, K]);
  input task_ids below n_tasks as task;
  param A[S, K, in / S, r] = uniform(-1 / sqrt(in / S), 1 / sqrt(in / S)) at "poly_lora_A";
  param B[S, K, r, out / S] = init_weights ? zeros : uniform(-1 / sqrt(r), 1 / sqrt(r)) at "poly_lora_B";
  param routes[n_tasks, S * K] = uniform(-1e-3, 1e-3) at "poly_router.module_logits";
  let S = n_splits, K = n_skills, width = S * K * r;
  config r: int = 8 "rank of every skill",
         poly_type: string = "poly" "the kind of mixture; there is one",
         n_tasks: int = 1 (minimum: 1) "tasks: rows of the routing table",
         n_skills: int = 4 (minimum: 1) "pairs of matrices that are mixed",
         n_splits: int = 1 (minimum: 1) "blocks of the features, each with its own mixture",
         init_weights: bool = true "false: B is random too";
  require r > 0 else "\`r\` should be a positive integer value but the value passed is {r} ";
  require poly_type == "poly" else "Unsupported poly_type: {poly_type}. Currently, only the following types are supported: \`poly\`.";
  require divides(S, in) and divides(S, out) else "n_splits ({S}) must divide in_features ({in}) and out_features ({out}).";
}`,
  profile: { className: "PolyConfig", shared: [...withTargets, "exclude_modules", "init_weights"], linearOnly: true },
  builtins: [
    makesTensor(
      "relaxed_bits",
      { logits: "tensor", temperature: optional("number", 1) },
      "Probabilities of bits from their logits [samples, ...]. In training relaxed draws of the bits instead, for every sample its own.",
      ({ logits, temperature }, b, context) => {
        if (!context.situation.sampling) return b.add("sigmoid", [logits]);
        const u = uniformNode(b, context.scalars(), b.shape(logits), context.site, gateStreams + context.ordinal);
        return b.add("sigmoid", [b.scale(b.plus(logits, logisticNoise(b, u)), 1 / temperature)]);
      },
    ),
    makesOperator(
      "per_sample",
      { entries: "tensor", repeat: optional("count", 1) },
      "Diagonal that differs from sample to sample, from entries [samples, n], each of them repeat times. Where weights are merged, a diagonal.",
      ({ entries, repeat }, b, context) => {
        const [samples, n, more] = b.shape(entries);
        if (samples === undefined || n === undefined || more !== undefined)
          throw context.fail(
            "per_sample wants a row for every sample.",
            "[samples, n]",
            `[${b.shape(entries).join(", ")}]`,
          );
        const repeated = b.reshape(b.broadcast(entries, [samples, n, repeat], [0, 1]), [samples, n * repeat]);
        if (context.samples() !== undefined) return b.add("op.gate", [repeated]);
        return b.add("op.diag", [b.reshape(repeated, [n * repeat])]);
      },
    ),
  ],
} satisfies MethodRecord;
