/** SHiRA: a fixed sparse set of a weight's entries trains. arXiv 2406.13175. */

import { withTargets } from "../config/profiles.ts";
import { type CallContext, makesOperator, makesValue } from "../lib/builtin.ts";
import { whole } from "../lib/numbers.ts";
import { sparseMatrix } from "../lib/tensors.ts";
import type { MethodRecord } from "../record.ts";
import { vera } from "./vera.ts";

export const shira = {
  line: 12,
  text: `method shira on linear {
  W' = W + sparse(indices, w);
  stream rng = torch_generator(random_seed);
  const places[count] = sorted(torch_randperm(rng, entries, count));
  const indices[2, count] = stacked(quotient(places, in), remainder(places, in)) at "shira_indices" within [out, in];
  param w[count] = init_weights ? zeros : normal(0, 1) at "shira_weight";
  let count = r * (in + out), entries = in * out;
  config r: int = 32 (above: 0) "r (in + out) entries train",
         mask_type: string = "random" "how they are chosen; another mask than a random one comes with the tensor shira_indices",
         random_seed: int? = null "seed of their places; null: PyTorch's own",
         init_weights: bool = true "false: normal instead of zeros";
  require count <= entries
    else "The set rank {r} results in more shira params than the total number of params in the base layer {entries} and this is not allowed.";
  require mask_type == "random" or loaded else "mask_type = {mask_type} needs the places of the entries."
    help "Give them: start({ initial: { KEY.shira_indices: [...] } }) of a program compiled with loaded: true, or an adapter that holds them.";
}`,
  profile: { className: "ShiraConfig", shared: [...withTargets, "fan_in_fan_out", "init_weights"], linearOnly: true },
  targets: vera.targets,
  files: { rebuilt: ["shira_indices"] },
  builtins: [
    makesValue("sorted", { values: "host" }, "Host numbers in increasing order.", ({ values }) =>
      whole(values.data.slice().sort()),
    ),
    makesValue(
      "stacked",
      { first: "host", second: "host" },
      "Host numbers one list after the other, as rows of a table.",
      ({ first, second }) => whole(Float64Array.of(...first.data, ...second.data)),
    ),
    makesOperator(
      "sparse",
      { indices: "tensor", values: "tensor" },
      "The operator of the site's size with values[k] in row indices[0, k] and column indices[1, k]; the entries in row-major order, all different.",
      ({ indices, values }, b, context) => {
        checkedKeys(context, indices, values);
        const count = b.shape(values)[0]!;
        const row = (at: number): number => b.reshape(b.slice(indices, [at, 0], [at + 1, count]), [count]);
        const starts = b.add("mul", [row(0), b.constant(context.in, [count], "i32")]);
        const keys = b.add("add", [starts, row(1)]);
        return b.dense(sparseMatrix(b, keys, values, context.out, context.in));
      },
    ),
  ],
} satisfies MethodRecord;

function checkedKeys(context: CallContext, keys: number, values: number): void {
  const b = context.builder();
  const [[count], shape] = [b.shape(values), b.shape(keys)];
  const fits = b.tensorType(keys).dtype === "i32" && shape.at(-1) === count && b.shape(values).length === 1;
  if (!fits) throw context.fail("Places and values do not go together.", `i32[${count}]`, `[${shape.join(", ")}]`);
}
