/** First values of a fresh adapter: drawn from the method's own distributions, or given: a mask of SHiRA's, factors from somewhere else. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { evaluate } from "../../ir/evaluate.ts";
import { ports } from "../../ir/graph.ts";
import { atRest, feed } from "../../ir/run-inputs.ts";
import { sizeOf } from "../../ir/types.ts";
import type { AdapterPlan, CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../files/tensor.ts";
import { codecsOf } from "./codecs/index.ts";
import { checkConstant, checkPlaces } from "./numbers.ts";
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

/** By the keys of the adapter's file, row-major. */
export type GivenValues = Readonly<Record<string, ArrayLike<number>>>;

const fault = (key: string, message: string, expected: string, got: string): WebpeftError =>
  new WebpeftError("SESSION-INITIAL", { message, where: key, expected, got });

/**
 * Values with those that were given. Throws `SESSION-INITIAL` for a key that the adapter's file does not have, another number of values, or
 * values that are not finite or not whole; `FILE-ADAPTER-PLACES` for places that are out of order or lie outside, `FILE-ADAPTER-CONSTANT` for constants that the program is made of.
 */
export function withGiven(plan: AdapterPlan | undefined, values: AdapterValues, given: GivenValues): AdapterValues {
  const [params, buffers] = [new Map(values.params), new Map(values.buffers)];
  for (const [key, numbers] of Object.entries(given)) {
    const tensor = plan?.tensors.find((one) => one.saved && one.key === key);
    if (tensor === undefined) {
      const known = plan?.tensors.filter(({ saved }) => saved).map((one) => one.key) ?? [];
      throw fault(key, "the adapter has no tensor of that key", known.slice(0, 4).join(", ") || "no key", key);
    }
    if (numbers.length !== sizeOf(tensor.shape))
      throw fault(key, "a first value has another size", `[${tensor.shape.join(", ")}]`, `${numbers.length} numbers`);
    const isWhole = tensor.dtype === "i32";
    const odd = Array.from(numbers).find((x) => !(isWhole ? Number.isSafeInteger(x) : Number.isFinite(x)));
    if (odd !== undefined)
      throw fault(key, "a first value is none", isWhole ? "whole numbers" : "finite numbers", String(odd));
    const data = isWhole ? Int32Array.from(numbers) : Float32Array.from(numbers);
    if (data instanceof Int32Array) checkPlaces(tensor, hostTensor("I32", tensor.shape, data));
    checkConstant(plan!, tensor, data);
    if (tensor.role === "param") params.set(key, Float32Array.from(numbers));
    else buffers.set(key, data);
  }
  return { ...values, params, buffers };
}
