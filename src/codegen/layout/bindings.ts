/** Which ranges of buffers a kernel binds, and what no binding can hold. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Graph, placedName } from "../../ir/graph.ts";
import { type Doing, during } from "../../ir/trail.ts";
import { typeText } from "../../ir/types.ts";
import type { Body } from "../schedule/body.ts";
import type { Target } from "../target.ts";
import { tensorBytes } from "./ports.ts";

export interface Range {
  readonly buffer: string;
  readonly offset: number;
  readonly end: number;
  readonly writes: boolean;
}

/** The ranges to bind: a buffer each, or its tensors one by one where that is too much. In order of first use. */
export function bindRanges(slots: readonly Range[], target: Target): Range[] {
  const { maxStorageBufferBindingSize: largest, maxStorageBuffersPerShaderStage: most } = target.limits;
  const buffers = [...new Set(slots.map((s) => s.buffer))];
  const ranges = buffers.flatMap((buffer) => {
    const own = slots.filter((s) => s.buffer === buffer);
    const whole = own.reduce(join);
    return whole.end - whole.offset <= largest ? [whole] : overlapping(own);
  });
  const tooLarge = ranges.find((r) => r.end - r.offset > target.largestBinding);
  if (tooLarge !== undefined) {
    throw new WebpeftError("CODEGEN-BINDING-LIMIT", {
      message: "a kernel would bind more of one buffer than the device allows",
      where: tooLarge.buffer,
      expected: `at most ${target.largestBinding} bytes`,
      got: `${tooLarge.end - tooLarge.offset} bytes`,
      help: "take a device that binds larger buffers, a smaller batch or length, or --device cpu",
    });
  }
  if (ranges.length > most) {
    throw new WebpeftError("CODEGEN-BINDINGS", {
      message: "a kernel would bind more buffers than the device allows",
      expected: `at most ${most}`,
      got: String(ranges.length),
    });
  }
  return ranges;
}

const join = (a: Range, b: Range): Range => ({
  buffer: a.buffer,
  offset: Math.min(a.offset, b.offset),
  end: Math.max(a.end, b.end),
  writes: a.writes || b.writes,
});

/** Ranges of one buffer, those that overlap joined. */
function overlapping(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a.offset - b.offset);
  const joined: Range[] = [];
  for (const next of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && next.offset < last.end) joined[joined.length - 1] = join(last, next);
    else joined.push(next);
  }
  return joined;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Throws `CODEGEN-BINDING-LIMIT` with the tensor that a kernel of a stage would bind and that is larger than a binding by itself. */
export function checkTensors(stage: string, graph: Graph, { tensors }: Body, target: Target): void {
  for (const { node: id } of tensors) {
    const node = graph.nodes[id]!;
    if (node.type.kind !== "tensor" || tensorBytes(node.type) <= target.largestBinding) continue;
    const error = new WebpeftError("CODEGEN-BINDING-LIMIT", {
      message: "a tensor is larger than the device can bind, and cannot be cut into parts here",
      where: `${stage}: ${placedName(graph, id)}`,
      expected: `at most ${megabytes(target.largestBinding)}`,
      got: `${typeText(node.type)}, ${megabytes(tensorBytes(node.type))}`,
      help: "take a device that binds larger buffers, a smaller batch or length, fewer trained tensors, or --device cpu",
    });
    throw during(error, makingOf(graph, tensors));
  }
}

/** The kernel that is being made, for its error. */
export const makingOf = (graph: Graph, tensors: Body["tensors"]): Doing => {
  const nodes = (writes: boolean): number[] => [
    ...new Set(tensors.filter((use) => use.writes === writes).map((use) => use.node)),
  ];
  return { doing: "kernel", graph, nodes: nodes(true), reads: nodes(false) };
};
