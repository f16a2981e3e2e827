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

/** The tensors of a module as f32, from the ports of its file; those that train as a whole are parameters. */
export function storedTensors(
  builder: Builder,
  module: ModuleInfo,
  weightType: (key: string) => DType,
  trained: Attachment["trained"] = new Map(),
): SiteTensors {
  const read = (name: "weight" | "bias", shape: readonly number[]): number => {
    const copy = trained.get(`${module.path}.${name}`);
    if (copy !== undefined) return builder.port(copy, "param", "f32", shape);
    const key = module[name]!;
    return builder.cast(builder.port(key, "weight", weightType(key), shape), "f32");
  };
  const stored = read("weight", storedShape(module));
  const weight = module.layout === "conv1d" ? builder.transpose(stored, [1, 0]) : stored;
  return module.bias === undefined ? { weight } : { weight, bias: read("bias", [module.out!]) };
}

/** A site's weight as the file stores it. */
function fileWeight(builder: Builder, module: ModuleInfo, weight: number): number {
  if (module.kind === "norm") return weight;
  const matrix = builder.add("op.to_dense", [weight]);
  return module.kind === "embedding" || module.layout === "conv1d" ? builder.transpose(matrix, [1, 0]) : matrix;
}

/** What a merge does to the weight of a module: nothing, a new tensor under the file's key, or one of its own because a tie is broken. */
function weightName(module: ModuleInfo, modules: readonly ModuleInfo[], attachment: Attachment): string | undefined {
  const { sites, trained, follows } = attachment;
  const copyOf = ({ path }: ModuleInfo): string | undefined => trained.get(`${path}.weight`);
  const changes = (end: ModuleInfo): boolean => sites.has(end.path) || copyOf(end) !== undefined;
  const first = modules.find(({ weight }) => weight === module.weight)!;
  if (first === module) return changes(module) ? module.weight : undefined;
  const alike = follows?.get(module.path) === first.path || (!sites.has(module.path) && !sites.has(first.path));
  return alike && copyOf(module) === copyOf(first) ? undefined : `${module.path}.weight`;
}

/**
 * One output per base tensor that differs in the merged model. Where the ends of a tie differ, the second has an output of its own, named
 * by its path.
 */
export function mergeGraph(
  modules: readonly ModuleInfo[],
  attachment: Attachment,
  weightType: (key: string) => DType,
): Graph {
  const { sites, trained } = attachment;
  const builder = new Builder("merge");
  const outputs: Output[] = [];
  for (const module of modules) {
    if (module.weight === undefined) continue;
    const name = weightName(module, modules, attachment);
    builder.within({ scope: module.path }, () => {
      const tensors = storedTensors(builder, module, weightType, trained);
      const adapter = sites.get(module.path);
      const { weight, bias } = adaptedSite(builder, module.kind as SiteKind, tensors, adapter, module.path);
      if (name !== undefined) outputs.push({ name, node: fileWeight(builder, module, weight) });
      const biasChanges = bias !== tensors.bias || trained.has(`${module.path}.bias`);
      if (module.bias !== undefined && bias !== undefined && biasChanges)
        outputs.push({ name: module.bias, node: bias });
    });
  }
  return builder.finish(outputs);
}
