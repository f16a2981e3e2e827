/** SHiRA: a fixed sparse set of a weight's entries trains. arXiv 2406.13175. */
import { withTargets } from "../config/profiles.ts";
import type { MethodRecord } from "../record.ts";
import { vera } from "./vera.ts";

export const shira = {
  line: 8,
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
} satisfies MethodRecord;
