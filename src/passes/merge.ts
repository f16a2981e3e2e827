/**
 * The merge stage: for every adapted layer its weight W' and its bias, as outputs named by the base file's keys, in the file's layout.
 * The formula is the one that `attach` applies to activations; what is left after folding it into the weights is the base model.
 */
import { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph, Output } from "../ir/graph.ts";
import type { DType } from "../ir/types.ts";
import type { BaseOf } from "../methods/index.ts";
import { switchedBias } from "../models/layers.ts";
import type { ModuleInfo } from "../models/model.ts";
import { type Attachment, adaptedSite, type SiteTensors } from "./attach.ts";
import { type SiteKind, siteWeight } from "./site-operands.ts";

/** Shape of a module's weight as the file stores it. */
function storedShape({ kind, layout, patch, in: width, out }: ModuleInfo): readonly number[] {
  if (patch !== undefined) return [out!, ...patch];
  if (kind === "norm") return [out!];
  return kind === "embedding" || kind === "prompt" || layout === "conv1d" ? [width!, out!] : [out!, width!];
}

/** Reads tensors of base modules as f32 from the ports of their file; those that train as a whole are parameters. */
class Stored {
  constructor(
    private readonly builder: Builder,
    private readonly weightType: (key: string) => DType,
    private readonly trained: Attachment["trained"],
  ) {}

  read({ path }: ModuleInfo, name: string, key: string, shape: readonly number[]): number {
    const copy = this.trained.get(`${path}.${name}`);
    if (copy !== undefined) return this.builder.port(copy, "param", "f32", shape);
    return this.builder.cast(this.builder.port(key, "weight", this.weightType(key), shape), "f32");
  }

  weight(module: ModuleInfo): number {
    return this.read(module, "weight", module.weight!, storedShape(module));
  }

  bias(module: ModuleInfo): number | undefined {
    return module.bias === undefined ? undefined : this.read(module, "bias", module.bias, [module.out!]);
  }

  private matrix({ layout, in: width, out }: ModuleInfo, weight: number): number {
    if (layout === "patches") return this.builder.reshape(weight, [out!, width!]);
    return layout === "conv1d" ? this.builder.transpose(weight, [1, 0]) : weight;
  }

  /** Weight and bias as the module computes with them. */
  tensors(module: ModuleInfo): SiteTensors {
    const weight = this.weight(module);
    return { weight: this.matrix(module, weight), bias: this.bias(module) };
  }
}

/** The operands of a module as it computes with them, from the ports of its file. */
export const storedOperands =
  (weightType: (key: string) => DType): BaseOf =>
  (builder, module) => {
    const { weight, bias } = new Stored(builder, weightType, new Map()).tensors(module);
    const operator = siteWeight(builder, module.kind as SiteKind, weight);
    return bias === undefined ? { weight: operator } : { weight: operator, bias };
  };

/** A site's weight as the file stores it. */
function fileWeight(builder: Builder, module: ModuleInfo, weight: number): number {
  if (module.kind === "norm") return weight;
  const matrix = builder.add("op.to_dense", [weight]);
  if (module.layout === "patches") return builder.reshape(matrix, storedShape(module));
  return module.kind === "embedding" || module.layout === "conv1d" ? builder.transpose(matrix, [1, 0]) : matrix;
}

/** What a merge does to the weight of a module: nothing, a new tensor under the file's key, or one of its own because a tie is broken. */
function weightName(module: ModuleInfo, modules: readonly ModuleInfo[], attachment: Attachment): string | undefined {
  const { sites, trained, follows } = attachment;
  const copyOf = ({ path }: ModuleInfo): string | undefined => trained.get(`${path}.weight`);
  const changes = (end: ModuleInfo): boolean => sites.has(end.path) || copyOf(end) !== undefined;
  const ends = modules.filter(({ weight }) => weight === module.weight);
  const owner = ends.find(({ path, weight }) => `${path}.weight` === weight) ?? ends[0]!;
  if (owner === module) return changes(module) ? module.weight : undefined;
  const follow = follows?.get(module.path) === owner.path || follows?.get(owner.path) === module.path;
  const alike = follow || (!sites.has(module.path) && !sites.has(owner.path));
  return alike && copyOf(module) === copyOf(owner) ? undefined : `${module.path}.weight`;
}

/** Whatever the config says, loaders of the merged model make the layer without a bias, so a bias in the file would be read over. */
const noBias = ({ path }: ModuleInfo): WebpeftError =>
  new WebpeftError("MERGE-BIAS", {
    message:
      "the adapter gives a bias to a layer that has none, and no field of the config gives it one: the merged model could not hold it",
    where: path,
    expected: "a base whose layer has a bias, or an adapter that leaves the bias alone",
    help: "Keep the adapter beside the base model, or leave the module out of target_modules (of LoRA: lora_bias false).",
  });

/** The outputs of one module: what its adapter makes, or copies that were trained. `name`: see `weightName`. */
function moduleOutputs(
  builder: Builder,
  module: ModuleInfo,
  { sites, trained }: Attachment,
  stored: Stored,
  name: string | undefined,
): Output[] {
  const adapter = sites.get(module.path);
  const isTrained = (parameter: string): boolean => trained.has(`${module.path}.${parameter}`);
  if (adapter !== undefined) {
    const tensors = stored.tensors(module);
    const { weight, bias } = adaptedSite(builder, module.kind as SiteKind, tensors, adapter, module.path);
    const biasName = module.bias ?? switchedBias(module);
    if (biasName === undefined && bias !== undefined) throw noBias(module);
    const biasChanges = bias !== tensors.bias || isTrained("bias");
    return [
      ...(name === undefined ? [] : [{ name, node: fileWeight(builder, module, weight) }]),
      ...(biasChanges && bias !== undefined ? [{ name: biasName!, node: bias }] : []),
    ];
  }
  const parameters = Object.entries(module.parameters ?? {}).flatMap(([parameter, { key, shape }]): Output[] => {
    const read = (): number => stored.read(module, parameter, key, shape);
    const path = `${module.path}.${parameter}`;
    const own = sites.get(path);
    if (own === undefined) return isTrained(parameter) ? [{ name: key, node: read() }] : [];
    const { weight } = adaptedSite(builder, "parameter", { weight: read() }, own, path);
    return [{ name: key, node: builder.reshape(builder.add("op.to_dense", [weight]), shape) }];
  });
  return [
    ...(name === undefined ? [] : [{ name, node: stored.weight(module) }]),
    ...(isTrained("bias") ? [{ name: module.bias!, node: stored.bias(module)! }] : []),
    ...parameters,
  ];
}

/**
 * One output per base tensor that differs in the merged model. Where the ends of a tie differ, the second has an output of its own, named
 * by its path; a bias that a layer gets by a field of the config has one too, named beside its weight. Throws MERGE-METHOD for methods with
 * virtual tokens, MERGE-BIAS for a bias that the model cannot hold.
 */
export function mergeGraph(
  modules: readonly ModuleInfo[],
  attachment: Attachment,
  weightType: (key: string) => DType,
): Graph {
  if ((attachment.additions?.size ?? 0) > 0) {
    throw new WebpeftError("MERGE-METHOD", {
      message: "virtual tokens are no part of the weights: this method cannot be merged",
      help: "Keep the adapter beside the base model.",
    });
  }
  const builder = new Builder("merge");
  const stored = new Stored(builder, weightType, attachment.trained);
  const outputs = modules.flatMap((module) => {
    const name = module.weight === undefined ? undefined : weightName(module, modules, attachment);
    return builder.within({ scope: module.path }, () => moduleOutputs(builder, module, attachment, stored, name));
  });
  return builder.finish(outputs);
}
