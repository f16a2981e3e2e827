/** First values that the caller gives to a fresh adapter in place of drawn ones: a mask of SHiRA's, factors from somewhere else. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import type { AdapterPlan } from "../../program/index.ts";
import { hostTensor } from "../files/tensor.ts";
import { checkConstant, checkPlaces } from "./numbers.ts";
import type { AdapterValues } from "./values.ts";

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
