/**
 * Tensors whose file holds their sum with rows of the base model (coding `on_rows`): CPT trains an offset and its file has the prompt. The
 * file's tensor becomes an offset when it is read; while nothing trained it is written as it came.
 */
import { evaluate } from "../../ir/evaluate.ts";
import { sizeOf } from "../../ir/types.ts";
import type { AdapterTensor, CompiledProgram, RowsCoding } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import { fromFloat32, type HostTensor, toFloat32 } from "../files/tensor.ts";
import type { AdapterValues } from "./values.ts";

/** Rows of a base tensor, in f32; the others are not expanded. */
async function baseRows({ rows, weight }: RowsCoding, model: Model): Promise<Float32Array> {
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
function projected({ stages, adapter }: CompiledProgram, { key }: AdapterTensor, data: Float32Array): Float32Array {
  const graph = stages.find(({ name }) => name === "project")?.graph;
  const output = graph?.outputs.find(({ name }) => name === key);
  if (graph === undefined || output === undefined) return data;
  const own = { ...graph, outputs: [output] };
  const others = graph.nodes.flatMap(({ op, attributes, type }) =>
    op === "port" && attributes.role === "param" && type.kind === "tensor"
      ? [[attributes.name as string, new Float32Array(sizeOf(type.shape))] as const]
      : [],
  );
  const ports = { ...Object.fromEntries(others), ...Object.fromEntries(adapter!.data), [key]: data };
  return Float32Array.from(evaluate(own, ports)[key]!.data);
}

/**
 * The values with what the files of such tensors are made of. `inFile` says that `params` has the file's tensors, which become offsets here;
 * otherwise they are offsets already.
 */
export async function onBaseRows(
  program: CompiledProgram,
  model: Model,
  values: AdapterValues,
  inFile: boolean,
): Promise<AdapterValues> {
  const params = new Map(values.params);
  const forms = new Map(values.forms);
  for (const tensor of program.adapter!.tensors) {
    const { coding, key, shape } = tensor;
    const given = params.get(key);
    if (coding?.name !== "on_rows" || given === undefined) continue;
    const rows = await baseRows(coding, model);
    const start = inFile ? given.map((x, i) => x - rows[i]!) : given;
    params.set(key, start);
    forms.set(key, (data): HostTensor => {
      const isUntouched = inFile && start.every((x, i) => Object.is(x, data[i]));
      const sum = isUntouched ? given : projected(program, tensor, data).map((x, i) => x + rows[i]!);
      return fromFloat32(sum.slice(), "F32", shape);
    });
  }
  return { ...values, params, forms };
}
