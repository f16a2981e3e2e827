/** What no binding can hold. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Graph, portName } from "../../ir/graph.ts";
import { typeText } from "../../ir/types.ts";
import type { Body } from "../schedule/body.ts";
import type { Target } from "../target.ts";
import { tensorBytes } from "./ports-and-results.ts";

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Throws `CODEGEN-BINDING-LIMIT` with the tensor that kernels of a stage would bind and that is larger than a binding by itself. */
export function checkTensors(stage: string, graph: Graph, bodies: readonly Body[], target: Target): void {
  for (const { node: id } of bodies.flatMap(({ tensors }) => tensors)) {
    const node = graph.nodes[id]!;
    if (node.type.kind !== "tensor" || tensorBytes(node.type) <= target.largestBinding) continue;
    const name =
      node.op === "port" ? portName(node) : `%${id} = ${node.op}${node.scope === undefined ? "" : ` in ${node.scope}`}`;
    throw new WebpeftError("CODEGEN-BINDING-LIMIT", {
      message: "a tensor is larger than the device can bind, and cannot be cut into parts here",
      where: `${stage}: ${name}`,
      expected: `at most ${megabytes(target.largestBinding)}`,
      got: `${typeText(node.type)}, ${megabytes(tensorBytes(node.type))}`,
      help: "take a device that binds larger buffers, a smaller batch or length, fewer trained tensors, or --device cpu",
    });
  }
}
