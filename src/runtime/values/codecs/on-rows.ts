/**
 * A tensor whose file holds its sum with rows of the base model (coding `on_rows`): CPT trains an offset and its file has the prompt. While
 * nothing trained the file's tensor is written as it came.
 */
import { evaluate } from "../../../ir/evaluate.ts";
import { sizeOf } from "../../../ir/types.ts";
import type { AdapterTensor } from "../../../program/index.ts";
import type { Model } from "../../files/model.ts";
import { toFloat32 } from "../../files/tensor.ts";
import type { CodecOf, CodecSource, CodingOf, Numbers } from "./codec.ts";
import { plainCodec } from "./plain.ts";

/** Rows of a base tensor, in f32; the others are not expanded. */
async function baseRows({ rows, weight }: CodingOf<"on_rows">, model: Model): Promise<Float32Array> {
  const { bytes, dtype, shape } = await model.weights.read(weight);
  const width = sizeOf(shape.slice(1));
  const size = bytes.length / shape[0]!;
  const found = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    const one = bytes.slice(row * size, (row + 1) * size);
    found.set(toFloat32({ dtype, shape: [width], bytes: one }), i * width);
  });
  return found;
}

/** A parameter as a step would see it: projected where it is. */
function projected(
  { stages, adapter }: CodecSource["program"],
  { key }: AdapterTensor,
  numbers: Numbers,
): Float32Array {
  const graph = stages.find(({ name }) => name === "project")?.graph;
  const output = graph?.outputs.find(({ name }) => name === key);
  if (graph === undefined || output === undefined) return Float32Array.from(numbers);
  const own = { ...graph, outputs: [output] };
  const others = graph.nodes.flatMap(({ op, attributes, type }) =>
    op === "port" && attributes.role === "param" && type.kind === "tensor"
      ? [[attributes.name as string, new Float32Array(sizeOf(type.shape))] as const]
      : [],
  );
  const ports = { ...Object.fromEntries(others), ...Object.fromEntries(adapter!.data), [key]: numbers };
  return Float32Array.from(evaluate(own, ports)[key]!.data);
}

export const onRowsCodec: CodecOf<"on_rows"> = (coding, tensor, { program, model }) => {
  const plain = plainCodec(tensor);
  let rows: Promise<Float32Array> | undefined;
  const ofBase = (): Promise<Float32Array> => {
    rows ??= baseRows(coding, model());
    return rows;
  };
  let read: { readonly sum: Numbers; readonly offset: Float32Array } | undefined;
  return {
    specs: plain.specs,
    async decode(from) {
      const sum = await plain.decode(from);
      if (sum === undefined) return undefined;
      const base = await ofBase();
      read = { sum, offset: Float32Array.from(sum, (x, i) => x - base[i]!) };
      return read.offset;
    },
    async encode(offset) {
      if (read?.offset.every((x, i) => Object.is(x, offset[i]))) return plain.encode(read.sum);
      const base = await ofBase();
      return plain.encode(projected(program, tensor, offset).map((x, i) => x + base[i]!));
    },
  };
};
