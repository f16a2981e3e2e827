/**
 * The merge stage: for every adapted layer the matrix of W' and its bias, as outputs named by the base file's keys, in the file's layout.
 * The formula is the one that `attach` applies to activations; what is left after folding it into the weights is the base model.
 */
import { Builder } from "../ir/builder.ts";
import type { Graph, Output } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";
import type { ModuleInfo } from "../models/model.ts";
import { type Attachment, adaptedLinear } from "./attach.ts";

/** A frozen weight as f32 in the layout [out, in]. */
function weightPort(builder: Builder, module: ModuleInfo, dtype: DType): number {
  const [out, width] = [module.out!, module.in!];
  if (module.layout === "linear")
    return builder.cast(builder.port(module.weight!, "weight", dtype, [out, width]), "f32");
  return builder.transpose(builder.cast(builder.port(module.weight!, "weight", dtype, [width, out]), "f32"), [1, 0]);
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
    if (adapter === undefined || module.kind !== "linear") continue;
    builder.within({ scope: module.path }, () => {
      const weight = weightPort(builder, module, weightType(module.weight!));
      const bias =
        module.bias === undefined ? undefined : biasPort(builder, module, attachment, weightType(module.bias));
      const result = adaptedLinear(builder, weight, bias, adapter, module.path);
      const matrix = builder.add("op.to_dense", [result.operator]);
      outputs.push({
        name: module.weight!,
        node: module.layout === "linear" ? matrix : builder.transpose(matrix, [1, 0]),
      });
      if (result.bias !== undefined && result.bias !== bias && module.bias !== undefined)
        outputs.push({ name: module.bias, node: result.bias });
    });
  }
  return builder.finish(outputs);
}

function biasPort(builder: Builder, module: ModuleInfo, attachment: Attachment, dtype: DType): number {
  const copy = attachment.trained.get(module.bias!);
  if (copy !== undefined) return builder.port(copy, "param", "f32", [module.out!]);
  return builder.cast(builder.port(module.bias!, "weight", dtype, [module.out!]), "f32");
}
