/**
 * Reverse mode on tensor IR. Gradients flow only to `param` ports: a node whose inputs depend on no parameter gets no gradient, so
 * frozen weights never have one. The derivative of an op stands in its record.
 */
import { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { compact, type Graph, type Output, portName, portRole } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import { contextOf, rebuild } from "./rewrite.ts";

/** True for every node that depends on a param port by differentiable steps. */
export function dependsOnParams(graph: Graph): boolean[] {
  const depends: boolean[] = [];
  graph.nodes.forEach((node) => {
    if (node.op === "port") depends.push(portRole(node) === "param");
    else if (node.op === "stop_gradient" || opRecord(node.op).vjp === "nondifferentiable") depends.push(false);
    else depends.push(node.inputs.some((i) => depends[i]!));
  });
  return depends;
}

/**
 * Adds outputs `grad.<name>` for every param port: the derivative of the scalar output `loss`. Outputs of the graph are kept.
 * A parameter that the loss does not depend on gets a gradient of zeros, or with `zeros: false` none.
 */
export function differentiate(graph: Graph, { zeros = true }: { readonly zeros?: boolean } = {}): Graph {
  const source = compact(graph, true);
  const loss = source.outputs.find((o) => o.name === "loss");
  if (loss === undefined) {
    throw new WebpeftError("PASS-LOSS", {
      message: `the graph ${graph.name} has no output loss to differentiate`,
      where: graph.name,
    });
  }
  const builder = new Builder(source.name);
  const ids = rebuild(source, builder);
  const depends = dependsOnParams(source);
  const cotangents = new Map<number, number>();
  if (depends[loss.node]) cotangents.set(loss.node, builder.constantLike(ids[loss.node]!, 1));

  for (let id = source.nodes.length - 1; id >= 0; id--) {
    const node = source.nodes[id]!;
    const cotangent = cotangents.get(id);
    if (cotangent === undefined || node.op === "port") continue;
    const record = opRecord(node.op);
    if (typeof record.vjp !== "function")
      throw new Error(`${node.op} is on the path of a gradient and has no derivative`);
    const needed = node.inputs.map((i) => depends[i]!);
    const vjp = record.vjp;
    const context = { ...contextOf(node, id), phase: "backward" } as const;
    const gradients = builder.within(context, () =>
      vjp({ builder, node, inputs: node.inputs.map((i) => ids[i]!), output: ids[id]!, cotangent, needed }),
    );
    node.inputs.forEach((input, i) => {
      const gradient = gradients[i];
      if (!needed[i] || gradient === null || gradient === undefined) return;
      const before = cotangents.get(input);
      cotangents.set(
        input,
        before === undefined ? gradient : builder.within(context, () => builder.plus(before, gradient)),
      );
    });
  }

  const outputs: Output[] = source.outputs.map((o) => ({ name: o.name, node: ids[o.node]! }));
  source.nodes.forEach((node, id) => {
    if (node.op !== "port" || portRole(node) !== "param") return;
    const gradient = cotangents.get(id) ?? (zeros ? builder.zerosLike(ids[id]!) : undefined);
    if (gradient !== undefined) outputs.push({ name: `grad.${portName(node)}`, node: gradient });
  });
  return compact(builder.finish(outputs), true);
}
