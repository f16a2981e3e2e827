/** First values of a fresh adapter: drawn from the method's own distributions. */
import { evaluate } from "../../ir/evaluate.ts";
import { ports } from "../../ir/graph.ts";
import { atRest, feed } from "../../ir/run-inputs.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import { type HostTensor, toFloat32 } from "../files/tensor.ts";
import { codecsOf } from "./codecs/index.ts";
import type { AdapterValues } from "./values.ts";

/** Weights that the values depend on are read from the model. */
export async function freshValues(program: CompiledProgram, model: Model, seed: number): Promise<AdapterValues> {
  const params = new Map<string, Float32Array>();
  const asRead = new Map<string, HostTensor>();
  const codecs = codecsOf({ program, model: () => model });
  const plan = program.adapter;
  if (plan === undefined) return { params, buffers: new Map(), asRead, codecs };
  const buffers = new Map(plan.data);
  const init = program.init?.();
  if (init !== undefined) {
    const data: Record<string, ArrayLike<number>> = { ...feed({ ...atRest, seed: seed >>> 0 }) };
    for (const { name, node } of ports(init)) {
      if (node.attributes.role === "weight") data[name] = toFloat32(await model.weights.read(name));
      else if (plan.data.has(name)) data[name] = plan.data.get(name)!;
    }
    const frozen = new Set(plan.tensors.filter(({ role }) => role === "buffer").map(({ key }) => key));
    for (const [key, value] of Object.entries(evaluate(init, data)))
      (frozen.has(key) ? buffers : params).set(key, Float32Array.from(value.data));
  }
  for (const { key, copyOf } of plan.tensors)
    if (copyOf !== undefined) params.set(key, toFloat32(await model.weights.read(copyOf)).slice());
  for (const { key, weight } of plan.frozen) asRead.set(key, await model.weights.read(weight));
  return { params, buffers, asRead, codecs };
}
