/** Logits of which a file keeps the largest only, as VB-LoRA's small files do. Source: `get_peft_model_state_dict` of PEFT. */
import { WebpeftError } from "../../../ir/diagnostics.ts";
import type { AdapterPlan, AdapterTensor } from "../../../program/index.ts";
import { type HostTensor, hostTensor, type TensorDtype, toInt32 } from "../../files/tensor.ts";
import { floatNumbers } from "../numbers.ts";
import type { CodecOf } from "./codec.ts";

/** Stands for minus infinity: its weight in a softmax is 0, and no kernel meets an infinity. */
const never = -1e30;

/** Logits whose softmax has the file's weights; the last weight is what the others leave of 1. */
function decodeTopK(tensor: AdapterTensor, count: number, indices: HostTensor, weights: HostTensor): Float32Array {
  const width = tensor.shape.at(-1)!;
  const [places, parts] = [toInt32(indices, tensor.key), floatNumbers(weights, `${tensor.key}_topk_weights`)];
  const logits = new Float32Array(tensor.shape.reduce((p, n) => p * n, 1)).fill(never);
  for (let row = 0; row < places.length / count; row++) {
    const own = Array.from(parts.subarray(row * (count - 1), (row + 1) * (count - 1)));
    const all = [...own, Math.max(0, 1 - own.reduce((sum, w) => sum + w, 0))];
    all.forEach((weight, j) => {
      const place = places[row * count + j]!;
      if (place < 0 || place >= width) throw outside(tensor, width, place);
      if (weight > 0) logits[row * width + place] = Math.log(weight);
    });
  }
  return logits;
}

const outside = ({ key }: AdapterTensor, width: number, place: number): WebpeftError =>
  new WebpeftError("FILE-ADAPTER-PLACES", {
    message: "a place lies outside its array",
    where: `${key}_topk_indices`,
    expected: `0 to ${width - 1}`,
    got: String(place),
  });

/** Places and weights of the `count` largest logits of each row, the largest first; of equal ones the first. */
function largest(logits: ArrayLike<number>, width: number, count: number) {
  const rows = logits.length / width;
  const places = new Array<number>(rows * count);
  const parts = new Float32Array(rows * (count - 1));
  for (let row = 0; row < rows; row++) {
    const at = (place: number): number => logits[row * width + place]!;
    const order = Array.from({ length: width }, (_unused, i) => i).sort((a, b) => at(b) - at(a) || a - b);
    const kept = order.slice(0, count);
    const powers = kept.map((place) => Math.exp(at(place) - at(kept[0]!)));
    const total = powers.reduce((sum, x) => sum + x, 0);
    kept.forEach((place, j) => {
      places[row * count + j] = place;
      if (j < count - 1) parts[row * (count - 1) + j] = powers[j]! / total;
    });
  }
  return { places, parts };
}

/** The narrowest type that PEFT takes for numbers below `limit`. */
function integers(shape: readonly number[], values: readonly number[], limit: number): HostTensor {
  const [dtype, data]: [TensorDtype, Uint8Array | Int16Array | Int32Array] =
    limit < 2 ** 8
      ? ["U8", Uint8Array.from(values)]
      : limit < 2 ** 15
        ? ["I16", Int16Array.from(values)]
        : ["I32", Int32Array.from(values)];
  return hostTensor(dtype, shape, data);
}

export const topKCodec: CodecOf<"top_k"> = ({ count }, tensor) => {
  const { key, shape } = tensor;
  const rows = shape.slice(0, -1);
  const width = shape.at(-1)!;
  const indices = { key: `${key}_topk_indices`, shape: [...rows, count] };
  const weights = { key: `${key}_topk_weights`, shape: [...rows, count - 1] };
  return {
    specs: [indices, weights],
    async decode(read) {
      const [places, parts] = await Promise.all([read(indices.key), read(weights.key)]);
      return decodeTopK(tensor, count, places!.tensor, parts!.tensor);
    },
    async encode(logits) {
      const { places, parts } = largest(logits, width, count);
      return new Map([
        [indices.key, integers(indices.shape, places, width)],
        [weights.key, hostTensor("F32", weights.shape, parts)],
      ]);
    },
  };
};

/** A file that holds the largest logits only says nothing about the others, which training would need. Throws `TRAIN-TOP-K`. */
export function requireAllLogits(plan: AdapterPlan | undefined): void {
  const cut = plan?.tensors.find(({ coding, role }) => coding?.name === "top_k" && role === "buffer");
  if (cut === undefined) return;
  throw new WebpeftError("TRAIN-TOP-K", {
    message: "the adapter's file holds only the largest weights of its logits, so it can be used but not trained",
    where: cut.key,
    help: "train from a file that was saved with save_only_topk_weights false",
  });
}
