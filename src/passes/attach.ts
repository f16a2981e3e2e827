/**
 * Puts adapted weights at the sites of a base model. Every `site.*` node goes: a linear site becomes `op.apply` of its operator W' plus
 * its bias, an embedding a gather, a norm its ops. A site without adapter gets W' = W.
 */
import { Builder } from "../ir/builder.ts";
import { compact, type Graph, type Node, portName } from "../ir/graph.ts";
import { typeText } from "../ir/types.ts";
import { lowerNorm } from "../models/lowering.ts";
import { rebuild } from "./rewrite.ts";

/** What an adapter may read at a linear site. */
export interface SiteOperands {
  /** The running weight W and the base weight W0, as operators [out, in]. */
  readonly W: number;
  readonly W0: number;
  /** Bias f32[out], absent when the layer has none. */
  readonly bias?: number;
  /** u32 scalars for counter-based draws. */
  readonly scalars: { readonly seed: number; readonly step: number; readonly sampleOffset: number };
}

/** The adapted layer: operator W' and, when the layer has or gets one, bias b'. */
export interface SiteResult {
  readonly operator: number;
  readonly bias?: number;
}

export type SiteAdapter = (builder: Builder, operands: SiteOperands) => SiteResult;

export interface Attachment {
  /** By module path. */
  readonly sites: ReadonlyMap<string, SiteAdapter>;
  /** Base tensors that are trained as a whole (`modules_to_save`, biases): file key of the weight -> port name of its trained copy. */
  readonly trained: ReadonlyMap<string, string>;
}

export function scalarPorts(builder: Builder): SiteOperands["scalars"] {
  return {
    seed: builder.port("seed", "input", "u32", []),
    step: builder.port("step", "input", "u32", []),
    sampleOffset: builder.port("sample_offset", "input", "u32", []),
  };
}

const sitePath = (node: Node): string => node.attributes.path as string;

function attachLinear(
  builder: Builder,
  node: Node,
  inputs: readonly number[],
  adapter: SiteAdapter | undefined,
): number {
  const [x, weight, bias] = inputs as [number, number, number | undefined];
  const { operator, bias: newBias } = adaptedLinear(builder, weight, bias, adapter, sitePath(node));
  const y = builder.apply(operator, x);
  return newBias === undefined ? y : builder.plus(y, newBias);
}

/** W' and b' of one linear layer; used by `attach` and by the merge stage, so that merging is no second formula. */
export function adaptedLinear(
  builder: Builder,
  weight: number,
  bias: number | undefined,
  adapter: SiteAdapter | undefined,
  path: string,
): SiteResult {
  const W = builder.dense(weight);
  const base = bias === undefined ? { operator: W } : { operator: W, bias };
  if (adapter === undefined) return base;
  const result = adapter(builder, { W, W0: W, ...(bias === undefined ? {} : { bias }), scalars: scalarPorts(builder) });
  const [made, wanted] = [builder.operator(result.operator), builder.operator(W)];
  if (made.out !== wanted.out || made.in !== wanted.in) {
    throw new Error(`the adapter at ${path} made ${typeText(made)} where ${typeText(wanted)} belongs`);
  }
  return result;
}

/** The trained copy of a weight port, when it has one. */
function trainedCopy(builder: Builder, node: Node, attachment: Attachment): number | undefined {
  if (node.op !== "port" || node.attributes.role !== "weight" || node.type.kind !== "tensor") return undefined;
  const copy = attachment.trained.get(portName(node));
  return copy === undefined ? undefined : builder.port(copy, "param", "f32", node.type.shape);
}

export function attach(graph: Graph, attachment: Attachment): Graph {
  const builder = new Builder(graph.name);
  const ids = rebuild(graph, builder, (node, inputs) => {
    if (node.op === "site.linear") return attachLinear(builder, node, inputs, attachment.sites.get(sitePath(node)));
    if (node.op === "site.embedding") return builder.add("gather", inputs);
    if (node.op === "site.norm") {
      const [x, gain, bias] = inputs as [number, number, number | undefined];
      return lowerNorm(
        builder,
        x,
        gain,
        bias,
        node.attributes.kind as "rms" | "layer",
        node.attributes.epsilon as number,
      );
    }
    return trainedCopy(builder, node, attachment);
  });
  return compact(builder.finish(graph.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }))));
}
