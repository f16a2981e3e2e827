/**
 * Puts adapted weights at the sites of a base model. Every `site.*` node goes: a linear site becomes `op.apply` of its operator W' plus
 * its bias, an embedding `op.lookup` of columns of W', a norm its ops with other gains. A site without adapter keeps its weight.
 */
import { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { compact, type Graph, type Node } from "../ir/graph.ts";
import { hashGraph } from "../ir/hash.ts";
import { throughTable } from "../ir/operators/per-part.ts";
import { sameType, type TensorType, typeText } from "../ir/types.ts";
import type { SiteOperands, SiteResult } from "../methods/index.ts";
import { lowerNorm, type NormKind } from "../models/lowering.ts";
import { AddedLosses, AdditionSites } from "./attach-additions.ts";
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
  /** The adapters know nothing of the batch, as where they are merged: they use the numbers that merging is given. */
  readonly asMerged?: boolean;
  /** The adapters read the last hidden states of a first pass. */
  readonly readsHidden?: boolean;
  /** What of a pass can be read afterwards, by name. */
  readonly reports?: (builder: Builder, operands: Omit<SiteOperands, "weight" | "base">) => ReadonlyMap<string, number>;
}

/** A site's tensors as its module computes with them: weight [out, in], table [tokens, out] or gains [out]; and the bias. */
export interface SiteTensors {
  readonly weight: number;
  readonly bias?: number | undefined;
}

/** What an adapter may know of the batch that W' is applied to; see `SiteOperands`. */
export type BatchOperands = Pick<SiteOperands, "samples" | "hidden" | "firstPass">;

/**
 * W' and b' of one layer; used by `attach` and by the merge stage, so that merging is no second formula. `batch`: nothing where one W' for
 * all is wanted.
 */
export function adaptedSite(
  builder: Builder,
  kind: SiteKind,
  { weight: tensor, bias }: SiteTensors,
  adapter: SiteAdapter | undefined,
  path: string,
  batch: BatchOperands = {},
): SiteResult {
  const weight = siteWeight(builder, kind, tensor);
  const unchanged = bias === undefined ? { weight } : { weight, bias };
  if (adapter === undefined) return unchanged;
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
  pass: BatchOperands,
  added: AddedLosses,
): number {
  const path = sitePath(node);
  const adapter = attachment.sites.get(path);
  if (node.op === "site.embedding") {
    const [table, ids] = inputs as [number, number];
    const tensors = siteTensors(builder, path, { weight: table }, attachment);
    if (adapter === undefined) return builder.add("gather", [tensors.weight, ids]);
    const batch = attachment.asMerged ? {} : { ...pass, samples: builder.shape(ids)[0]! };
    const { weight, loss } = adaptedSite(builder, "embedding", tensors, adapter, path, batch);
    added.put(path, loss);
    return builder.add("op.lookup", [weight, ids]);
  }
  if (node.op === "site.matrices") return attachMatrices(builder, path, inputs, attachment, pass, added);
  const [x, stored, storedBias] = inputs as [number, number, number | undefined];
  const kind = node.op === "site.linear" ? "linear" : "norm";
  const tensors = siteTensors(builder, path, { weight: stored, bias: storedBias }, attachment);
  const batch = attachment.asMerged ? {} : { ...pass, samples: builder.shape(x)[0]! };
  const { weight, bias, loss } = adaptedSite(builder, kind, tensors, adapter, path, batch);
  added.put(path, loss);
  if (kind === "norm") {
    const { kind: normKind, epsilon } = node.attributes;
    return lowerNorm(builder, x, weight, bias, normKind as NormKind, epsilon as number);
  }
  const y = builder.apply(weight, x);
  return bias === undefined ? y : builder.plus(y, bias);
}

/** A parameter that is a matrix, or several of which every vector goes through one. */
function attachMatrices(
  builder: Builder,
  path: string,
  [x, parameter, numbers]: readonly number[],
  { sites, trained, asMerged }: Attachment,
  pass: BatchOperands,
  added: AddedLosses,
): number {
  const copy = trained.get(path);
  const tensor = copy === undefined ? parameter! : withCopy(builder, parameter!, copy);
  const adapter = sites.get(path);
  if (adapter === undefined)
    return numbers === undefined
      ? builder.apply(builder.dense(tensor), x!)
      : throughTable(builder, tensor, x!, numbers);
  const batch = asMerged ? {} : pass;
  const { weight, loss } = adaptedSite(builder, "parameter", { weight: tensor }, adapter, path, batch);
  added.put(path, loss);
  if (numbers === undefined) return builder.apply(weight, x!);
  return builder.add("op.apply_part", [weight, x!, numbers], { parts: builder.shape(tensor)[0]! });
}

/** The graph with everything attached, in a builder that may hold other passes over the same model: new ids by old id. */
function attachPass(
  builder: Builder,
  graph: Graph,
  attachment: Attachment,
  pass: BatchOperands,
  added: AddedLosses,
): readonly number[] {
  const additions = new AdditionSites(builder, attachment.additions ?? new Map(), added);
  const ids = rebuild(graph, builder, (node, inputs) => {
    const attended = additions.lower(node, inputs);
    if (attended !== undefined) return attended;
    if (node.op.startsWith("site.")) return attachSite(builder, node, inputs, attachment, pass, added);
    const copy = attachment.trained.get(node.attributes.parameter as string);
    return copy === undefined ? undefined : builder.port(copy, "param", "f32", (node.type as TensorType).shape);
  });
  additions.finish();
  return ids;
}

/** What the layer that makes the logits reads: the last hidden states. Throws METHOD-SITE where the logits are made otherwise. */
function hiddenNode(graph: Graph): number {
  const hidden = graph.outputs.find(({ name }) => name === "hidden");
  if (hidden !== undefined) return hidden.node;
  const logits = graph.nodes[graph.outputs.find(({ name }) => name === "logits")!.node]!;
  if (logits.op === "site.linear" && (logits.type as TensorType).shape.length === 3) return logits.inputs[0]!;
  throw new WebpeftError("METHOD-SITE", {
    message: "this base model has no last hidden states that a method could read",
    where: "hidden",
    expected: "a model whose logits come from one layer, token by token",
  });
}

/** Puts the adapters at the sites. Where they read hidden states, the model is there twice: the first pass gives them, as a constant. */
export function attach(graph: Graph, attachment: Attachment): Graph {
  const builder = new Builder(graph.name);
  const { asMerged = false } = attachment;
  const { readsHidden = false, reports } = asMerged ? {} : attachment;
  const added = new AddedLosses();
  let pass: BatchOperands = {};
  if (readsHidden) {
    const hidden = attachPass(builder, graph, attachment, { firstPass: true }, new AddedLosses())[hiddenNode(graph)]!;
    pass = { hidden: builder.add("stop_gradient", [hidden]) };
  }
  const ids = attachPass(builder, graph, attachment, pass, added);
  const outputs = graph.outputs.map(({ name, node }) => {
    const made = ids[node]!;
    return { name, node: name === "loss" ? added.withShare(builder, made) : made };
  });
  const samples = pass.hidden === undefined ? {} : { samples: builder.shape(pass.hidden)[0]! };
  const reported = [...(reports?.(builder, { ...pass, ...samples, scalars: scalarPorts(builder) }) ?? [])];
  return compact(builder.finish([...outputs, ...reported.map(([name, node]) => ({ name, node }))]));
}

/** Whether two attachments make one program. */
export const attachAlike = (graph: Graph, a: Attachment, b: Attachment): boolean =>
  a === b || hashGraph(attach(graph, a)) === hashGraph(attach(graph, b));
