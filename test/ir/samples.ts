/** Instances of op samples with seeded data, and the comparison of a derivative with difference quotients. */
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph, Output } from "../../src/ir/graph.ts";
import type { OpRecord, OpSample, Value } from "../../src/ir/op-record.ts";
import { openUniform, threefry } from "../../src/ir/threefry.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";

export const isFloat = (type: TensorType): boolean => ["f32", "f16", "bf16"].includes(type.dtype);

export function randomData(type: TensorType, [low, high]: readonly [number, number], seed: number): number[] {
  return Array.from({ length: sizeOf(type.shape) }, (_unused, i) => {
    const u = openUniform(threefry(seed, 1, i, 0)[0]);
    return isFloat(type) ? low + u * (high - low) : low + Math.floor(u * (high - low + 1));
  });
}

export interface Instance {
  readonly record: OpRecord;
  readonly sample: OpSample;
  readonly graph: Graph;
  readonly data: Readonly<Record<string, number[]>>;
}

const inputName = (i: number): string => `input${i}`;

/** The op on ports `input0` ...; outputs `y` and, for every float input that gets one, `grad0` ... for the cotangent port `c`. */
export function instantiate(record: OpRecord, sample: OpSample, seed: number): Instance {
  const builder = new Builder(record.name);
  const inputs = sample.inputs.map((type, i) => builder.port(inputName(i), "input", type.dtype, type.shape));
  const output = builder.add(record.name, inputs, sample.attributes);
  const outputs: Output[] = [{ name: "y", node: output }];
  const type = builder.tensorType(output);
  if (typeof record.vjp === "function" && isFloat(type)) {
    const cotangent = builder.port("c", "input", type.dtype, type.shape);
    const needed = sample.inputs.map(isFloat);
    const node = builder.node(output);
    record.vjp({ builder, node, inputs, output, cotangent, needed }).forEach((gradient, i) => {
      if (gradient !== null && needed[i]) outputs.push({ name: `grad${i}`, node: gradient });
    });
  }
  const range = (i: number): readonly [number, number] => sample.ranges?.[i] ?? [-1, 1];
  const data = Object.fromEntries(
    sample.inputs.map((input, i) => [inputName(i), randomData(input, range(i), seed * 10 + i)]),
  );
  return {
    record,
    sample,
    graph: builder.finish(outputs),
    data: { ...data, c: randomData(type, [-1, 1], seed * 10 + 9) },
  };
}

export const run = ({ graph, data }: Instance): Record<string, Value> => evaluate(graph, data);

/** The largest relative difference between the gradients and central differences; infinite when a gradient is missing. */
export function gradientError(instance: Instance): number {
  const { sample, data } = instance;
  const gradients = run(instance);
  let worst = 0;
  sample.inputs.forEach((type, i) => {
    if (!isFloat(type)) return;
    const numeric = data[inputName(i)]!.map((_x, at) => differenceQuotient(instance, inputName(i), at));
    const got = gradients[`grad${i}`];
    const scale = Math.max(1, ...numeric.map(Math.abs));
    const errors = numeric.map((want, at) => Math.abs(want - (got?.data[at] ?? Number.NaN)) / scale);
    worst = Math.max(worst, ...errors.map((error) => (Number.isNaN(error) ? Number.POSITIVE_INFINITY : error)));
  });
  return worst;
}

function differenceQuotient({ graph, data }: Instance, name: string, at: number): number {
  const step = 1e-5;
  const projected = (by: number): number => {
    const moved = data[name]!.map((x, i) => (i === at ? x + by : x));
    const forward = { ...graph, outputs: graph.outputs.filter((o) => o.name === "y") };
    const y = evaluate(forward, { ...data, [name]: moved }).y!;
    return y.data.reduce((sum, value, i) => sum + value * data.c![i]!, 0);
  };
  return (projected(step) - projected(-step)) / (2 * step);
}
