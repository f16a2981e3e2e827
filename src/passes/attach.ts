/**
 * Puts adapted weights at the sites of a base model. Every `site.*` node goes: a linear site becomes `op.apply` of its operator W' plus
 * its bias, an embedding `op.lookup` of columns of W', a norm its ops with other gains. A site without adapter keeps its weight.
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, type Node } from "../ir/graph.ts";
import { hashGraph } from "../ir/hash.ts";
import { sameType, type TensorType, typeText } from "../ir/types.ts";
import type { SiteOperands, SiteResult } from "../methods/index.ts";
import { lowerNorm } from "../models/lowering.ts";
import { AdditionSites } from "./attach-additions.ts";
import { rebuild } from "./rewrite.ts";
import { type SiteAdditions, type SiteKind, scalarPorts, siteWeight } from "./site-operands.ts";

export type SiteAdapter = (builder: Builder, operands: SiteOperands) => SiteResult;

export interface Attachment {
  /** By module path. */
  readonly sites: ReadonlyMap<string, SiteAdapter>;
  /**
   * Base tensors that are trained as a whole (`modules_to_save`, biases): module path with `.weight`, `.bias` or another parameter's name ->
   * port name of the trained copy. By module and not by file key, because tied modules share a key and may train apart.
   */
  readonly trained: ReadonlyMap<string, string>;
  /** Layers that change exactly as the embedding does whose table they share: path of the layer -> path of the embedding. */
  readonly follows?: ReadonlyMap<string, string>;
  /** By path of the attention; a prompt has the path "". */
  readonly additions?: ReadonlyMap<string, SiteAdditions>;
}

/** A site's tensors as its module computes with them: weight [out, in], table [tokens, out] or gains [out]; and the bias. */
export interface SiteTensors {
  readonly weight: number;
  readonly bias?: number | undefined;
}

/**
 * W' and b' of one layer; used by `attach` and by the merge stage, so that merging is no second formula. `samples`: of the batch that W'
 * is applied to; none where one W' for all is wanted.
 */
export function adaptedSite(
  builder: Builder,
  kind: SiteKind,
  { weight: tensor, bias }: SiteTensors,
  adapter: SiteAdapter | undefined,
  path: string,
  samples?: number,
): SiteResult {
  const weight = siteWeight(builder, kind, tensor);
  const unchanged = bias === undefined ? { weight } : { weight, bias };
  if (adapter === undefined) return unchanged;
  const batch = samples === undefined ? {} : { samples };
  const result = adapter(builder, { ...unchanged, ...batch, base: weight, scalars: scalarPorts(builder) });
  const [made, wanted] = [builder.type(result.weight), builder.type(weight)];
  if (!sameType(made, wanted)) {
    throw new Error(`the adapter at ${path} made ${typeText(made)} where ${typeText(wanted)} belongs`);
  }
  return result;
}

const sitePath = (node: Node): string => node.attributes.path as string;

/** A weight behind casts, transposes and reshapes, with the trained copy in place of its port. */
function withCopy(builder: Builder, id: number, copy: string): number {
  const node = builder.node(id);
  if (node.op === "port") return builder.port(copy, "param", "f32", (node.type as TensorType).shape);
  const [input] = node.inputs.map((i) => withCopy(builder, i, copy));
  return node.op === "cast" ? input! : builder.add(node.op, [input!], node.attributes);
}

/** The site's tensors; those that train as a whole are parameters. */
function siteTensors(builder: Builder, path: string, given: SiteTensors, { trained }: Attachment): SiteTensors {
  const one = (id: number, name: string): number => {
    const copy = trained.get(`${path}.${name}`);
    return copy === undefined ? id : withCopy(builder, id, copy);
  };
  const weight = one(given.weight, "weight");
  return given.bias === undefined ? { weight } : { weight, bias: one(given.bias, "bias") };
}

function attachSite(
  builder: Builder,
  node: Node,
  inputs: readonly number[],
  attachment: Attachment,
  added: number[],
): number {
  const path = sitePath(node);
  const adapter = attachment.sites.get(path);
  if (node.op === "site.embedding") {
    const [table, ids] = inputs as [number, number];
    const tensors = siteTensors(builder, path, { weight: table }, attachment);
    if (adapter === undefined) return builder.add("gather", [tensors.weight, ids]);
    const samples = builder.shape(ids)[0]!;
    return builder.add("op.lookup", [adaptedSite(builder, "embedding", tensors, adapter, path, samples).weight, ids]);
  }
  const [x, stored, storedBias] = inputs as [number, number, number | undefined];
  const kind = node.op === "site.linear" ? "linear" : "norm";
  const tensors = siteTensors(builder, path, { weight: stored, bias: storedBias }, attachment);
  const { weight, bias, loss } = adaptedSite(builder, kind, tensors, adapter, path, builder.shape(x)[0]!);
  if (loss !== undefined) added.push(loss);
  if (kind === "norm") {
    const { kind: normKind, epsilon } = node.attributes;
    return lowerNorm(builder, x, weight, bias, normKind as "rms" | "layer", epsilon as number);
  }
  const y = builder.apply(weight, x);
  return bias === undefined ? y : builder.plus(y, bias);
}

/** What sites add, once in all: a micro-batch adds its share of the counted labels. */
function withAddedLoss(builder: Builder, loss: number, added: readonly number[]): number {
  if (added.length === 0) return loss;
  const sum = added.reduce((a, b) => builder.plus(a, b));
  return builder.plus(loss, builder.mul(sum, builder.port("loss_share", "input", "f32", [])));
}

export function attach(graph: Graph, attachment: Attachment): Graph {
  const builder = new Builder(graph.name);
  const added: number[] = [];
  const additions = new AdditionSites(builder, attachment.additions ?? new Map(), added);
  const ids = rebuild(graph, builder, (node, inputs) => {
    const attended = additions.lower(node, inputs);
    if (attended !== undefined) return attended;
    if (node.op.startsWith("site.")) return attachSite(builder, node, inputs, attachment, added);
    const copy = attachment.trained.get(node.attributes.parameter as string);
    return copy === undefined ? undefined : builder.port(copy, "param", "f32", (node.type as TensorType).shape);
  });
  additions.finish();
  const outputs = graph.outputs.map(({ name, node }) => {
    const made = ids[node]!;
    return { name, node: name === "loss" ? withAddedLoss(builder, made, added) : made };
  });
  return compact(builder.finish(outputs));
}

/** Whether two attachments make one program. */
export const attachAlike = (graph: Graph, a: Attachment, b: Attachment): boolean =>
  a === b || hashGraph(attach(graph, a)) === hashGraph(attach(graph, b));
