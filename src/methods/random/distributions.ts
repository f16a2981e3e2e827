/**
 * Initial values of our own, for what PEFT draws from Python's global generator and nobody can reproduce. A value is a
 * function of (seed, site, tensor, element), so it depends on no order of work. The counters are those of the graph's
 * `uniform` op at step 0.
 */
import { openUniform, streamKey, threefry } from "../../ir/threefry.ts";
import { sizeOf } from "../../ir/types.ts";
import { kaimingBound } from "./projections.ts";

export type Distribution =
  | { readonly kind: "zeros" }
  | { readonly kind: "ones" }
  | { readonly kind: "fill"; readonly value: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** `fanIn` defaults to the product of all axes but the first. */
  | { readonly kind: "kaiming_uniform"; readonly a: number; readonly fanIn?: number }
  | { readonly kind: "normal"; readonly mean: number; readonly deviation: number };

/** Which tensor is drawn: site index in the adapter, number of the tensor in its method. */
export interface Stream {
  readonly seed: number;
  readonly site: number;
  readonly tensor: number;
}

/** The initial values of a tensor of `shape`, row-major. */
export function drawInitial(distribution: Distribution, shape: readonly number[], stream: Stream): Float32Array {
  const count = sizeOf(shape);
  switch (distribution.kind) {
    case "zeros":
      return new Float32Array(count);
    case "ones":
      return new Float32Array(count).fill(1);
    case "fill":
      return new Float32Array(count).fill(distribution.value);
    case "uniform":
      return drawUniform(count, stream, distribution.low, distribution.high);
    case "kaiming_uniform": {
      const bound = kaimingBound(distribution.fanIn ?? sizeOf(shape.slice(1)), distribution.a);
      return drawUniform(count, stream, -bound, bound);
    }
    case "normal":
      return drawNormal(count, stream, distribution.mean, distribution.deviation);
  }
}

function drawUniform(count: number, { seed, site, tensor }: Stream, low: number, high: number): Float32Array {
  const [k0, k1] = streamKey(seed, 0, site, tensor);
  return Float32Array.from({ length: count }, (_, e) => low + (high - low) * openUniform(threefry(k0, k1, e, 0)[0]));
}

/** Box-Muller, one generator call per element. */
function drawNormal(count: number, { seed, site, tensor }: Stream, mean: number, deviation: number): Float32Array {
  const [k0, k1] = streamKey(seed, 0, site, tensor);
  return Float32Array.from({ length: count }, (_, e) => {
    const [r0, r1] = threefry(k0, k1, e, 0);
    const z = Math.sqrt(-2 * Math.log(openUniform(r0))) * Math.cos(2 * Math.PI * openUniform(r1));
    return mean + deviation * z;
  });
}
