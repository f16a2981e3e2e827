/**
 * The merge stage: for every adapted layer its weight W' and its bias, as outputs named by the base file's keys, in the file's layout.
 * The formula is the one that `attach` applies to activations; what is left after folding it into the weights is the base model.
 */
import { Builder } from "../ir/builder.ts";
import type { Graph, Output } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";
import type { ModuleInfo } from "../models/model.ts";
import { type Attachment, adaptedSite, type SiteKind, type SiteTensors } from "./attach.ts";

/** Shape of a module's weight as the file stores it. */
export function storedShape({ kind, layout, in: width, out }: ModuleInfo): readonly number[] {
  if (kind === "norm") return [out!];
  return kind === "embedding" || layout === "conv1d" ? [width!, out!] : [out!, width!];
}

/** The tensors of a module as f32, from the ports of its file; a bias that trains is a parameter. */
export function storedTensors(
  builder: Builder,
  module: ModuleInfo,
  weightType: (key: string) => DType,
  trained: Attachment["trained"] = new Map(),
): SiteTensors {
  const read = (key: string, shape: readonly number[]): number =>
    builder.cast(builder.port(key, "weight", weightType(key), shape), "f32");
  const stored = read(module.weight!, storedShape(module));
  const weight = module.layout === "conv1d" ? builder.transpose(stored, [1, 0]) : stored;
  if (module.bias === undefined) return { weight };
  const copy = trained.get(`${module.path}.bias`);
  return {
    weight,
    bias: copy === undefined ? read(module.bias, [module.out!]) : builder.port(copy, "param", "f32", [module.out!]),
  };
}

/** An adapted weight as the file stores it. */
function fileWeight(builder: Builder, module: ModuleInfo, weight: number): number {
  if (module.kind === "norm") return weight;
  const matrix = builder.add("op.to_dense", [weight]);
  return module.kind === "embedding" || module.layout === "conv1d" ? builder.transpose(matrix, [1, 0]) : matrix;
}

export function mergeGraph(
  modules: readonly ModuleInfo[],
  attachment: Attachment,
  weightType: (key: string) => DType,
): Graph {
  const builder = new Builder("merge");
  const outputs: Output[] = [];
  for (const module of modules) {
    const adapter = attachment.sites.get(module.path);
    if (adapter === undefined) continue;
    builder.within({ scope: module.path }, () => {
      const tensors = storedTensors(builder, module, weightType, attachment.trained);
      const { weight, bias } = adaptedSite(builder, module.kind as SiteKind, tensors, adapter, module.path);
      outputs.push({ name: module.weight!, node: fileWeight(builder, module, weight) });
      if (bias !== undefined && bias !== tensors.bias && module.bias !== undefined)
        outputs.push({ name: module.bias, node: bias });
    });
  }
  return builder.finish(outputs);
}
