/** Changes of an adapter's files in memory, as data: its configs, its tensors, and the bytes themselves. */
import fc from "fast-check";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, type HostTensor, type TensorDtype, toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Files } from "./checkpoint-mutations.ts";

/** A place as a fraction of what there is. */
type At = number;

export type Change =
  | { readonly field: At; readonly value: unknown; readonly file: At }
  | { readonly set: string; readonly value: unknown; readonly file: At }
  | { readonly forget: At; readonly file: At }
  | { readonly tensor: At; readonly file: At; readonly fill: number; readonly from: At; readonly to: At }
  | { readonly tensor: At; readonly file: At; readonly times: number }
  | { readonly tensor: At; readonly file: At; readonly name: string }
  | { readonly tensor: At; readonly file: At; readonly dtype: TensorDtype; readonly again: boolean }
  | {
      readonly tensor: At;
      readonly file: At;
      readonly shape: "flat" | "turned" | "empty" | "deep" | "longer" | "scalar";
    }
  | { readonly tensor: At; readonly file: At; readonly drop: true }
  | { readonly tensor: At; readonly file: At; readonly with: At }
  | { readonly flip: At; readonly at: At; readonly bit: number }
  | { readonly cut: At; readonly at: At }
  | { readonly remove: At }
  | { readonly copy: At; readonly to: At };

/** As literals are, so that a case can be pasted. */
const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(shape, { noNullPrototype: true }) as fc.Arbitrary<T>;
const at = fc.noBias(fc.nat(9999)).map((n) => n / 10_000);
const names = [
  "q_proj",
  "k_proj",
  "down_proj",
  "embed_tokens",
  "lm_head",
  "norm",
  "layers",
  "nowhere",
  "",
  "..",
  "\u001b[2J",
];
const values = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    1,
    2,
    4,
    16,
    -1,
    0.5,
    2 ** 31,
    2 ** 53,
    1e30,
    "",
    "all",
    "none",
    [],
    {},
  ),
  fc.constantFrom(...names),
  fc.array(fc.constantFrom(...names), { maxLength: 3 }),
  fc.array(fc.constantFrom(0, 1, 3, 19, 20, -1, 2 ** 31), { maxLength: 3 }),
  fc.dictionary(
    fc.constantFrom(...names, "0", "../x"),
    fc.constantFrom<unknown>(1, 2, 8, 0.5, "0", "../0", ".", null),
    { noNullPrototype: true },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const fieldNames = [
  ...[
    "peft_type",
    "task_type",
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "layers_to_transform",
    "bias",
    "r",
  ],
  ...["rank_pattern", "alpha_pattern", "fan_in_fan_out", "use_dora", "use_rslora", "init_lora_weights", "lora_bias"],
  ...["trainable_token_indices", "layers_pattern", "target_parameters", "adapters", "inference_mode", "block_share"],
];
const numbers = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 3e38, -3e38, 1e20, 1e-45, -0, 0, 1, -1, 1e4, 0.5);
const parts = [
  "base_model.model.",
  "lora_A",
  "layers.0",
  "weight",
  "model",
  "\u001b[31m",
  "../",
  "__proto__",
  "__metadata__",
];
const tensor = { tensor: at, file: at };

export const changes: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: record({ field: at, value: values, file: at }) },
  { weight: 2, arbitrary: record({ set: fc.constantFrom(...fieldNames), value: values, file: at }) },
  { weight: 1, arbitrary: record({ forget: at, file: at }) },
  { weight: 4, arbitrary: record({ ...tensor, fill: numbers, from: at, to: at }) },
  { weight: 3, arbitrary: record({ ...tensor, times: numbers }) },
  { weight: 2, arbitrary: record({ ...tensor, name: fc.constantFrom(...parts) }) },
  {
    weight: 3,
    arbitrary: record({
      ...tensor,
      dtype: fc.constantFrom<TensorDtype>("F16", "BF16", "F64", "I64", "I32", "U8", "BOOL", "F32"),
      again: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: record({
      ...tensor,
      shape: fc.constantFrom("flat", "turned", "empty", "deep", "longer", "scalar"),
    }),
  },
  { weight: 2, arbitrary: record({ ...tensor, drop: fc.constant<true>(true) }) },
  { weight: 2, arbitrary: record({ ...tensor, with: at }) },
  { weight: 2, arbitrary: record({ flip: at, at, bit: fc.nat(7) }) },
  { weight: 1, arbitrary: record({ cut: at, at }) },
  { weight: 1, arbitrary: record({ remove: at }) },
  { weight: 1, arbitrary: record({ copy: at, to: at }) },
);

const pick = <T>(list: readonly T[], where: At): T | undefined => list[Math.floor(where * list.length)];

function changeConfig(files: Files, change: Extract<Change, { value: unknown } | { forget: At }>): void {
  const path = pick(
    [...files.keys()].filter((name) => name.endsWith(".json")),
    change.file,
  );
  if (path === undefined) return;
  let config: Record<string, unknown>;
  try {
    config = { ...(JSON.parse(new TextDecoder().decode(files.get(path))) as Record<string, unknown>) };
  } catch {
    return;
  }
  const field =
    "set" in change ? change.set : pick(Object.keys(config), "forget" in change ? change.forget : change.field);
  if (field === undefined) return;
  if ("forget" in change) delete config[field];
  else config[field] = change.value;
  files.set(path, new TextEncoder().encode(JSON.stringify(config)));
}

/** A tensor with other numbers, another type or another shape; the bytes may no longer be as many as the shape says. */
function changedTensor(tensor: HostTensor, change: Extract<Change, { tensor: At }>): HostTensor {
  const { dtype, shape } = tensor;
  if ("fill" in change || "times" in change) {
    if (dtype !== "F32") return tensor;
    const data = Float32Array.from(toFloat32(tensor));
    if ("times" in change)
      return fromFloat32(
        data.map((x) => x * change.times),
        "F32",
        shape,
      );
    const [from, to] = [change.from, change.to].map((x) => Math.floor(x * data.length)).sort((a, b) => a - b);
    return fromFloat32(data.fill(change.fill, from, to! + 1), "F32", shape);
  }
  if ("dtype" in change) {
    const again = change.again && dtype === "F32" && ["F16", "BF16", "F64"].includes(change.dtype);
    return again ? fromFloat32(toFloat32(tensor).slice(), change.dtype, shape) : { ...tensor, dtype: change.dtype };
  }
  if (!("shape" in change)) return tensor;
  const size = shape.reduce((a, b) => a * b, 1);
  const shapes = {
    ...{ flat: [size], turned: shape.toReversed(), empty: [0, ...shape], deep: [1, ...shape, 1] },
    ...{ longer: [...shape.slice(0, -1), (shape.at(-1) ?? 1) + 1], scalar: [] },
  };
  const wanted = shapes[change.shape];
  const bytes = new Uint8Array((wanted.reduce((a, b) => a * b, 1) * tensor.bytes.byteLength) / size);
  bytes.set(tensor.bytes.subarray(0, bytes.byteLength));
  return { dtype, shape: wanted, bytes };
}

async function changeTensors(files: Files, change: Extract<Change, { tensor: At }>): Promise<void> {
  const path = pick(
    [...files.keys()].filter((name) => name.endsWith(".safetensors")),
    change.file,
  );
  if (path === undefined) return;
  const file = await openSafetensors(bytesSource(path, files.get(path)!)).catch(() => undefined);
  const key = file && pick([...file.tensors.keys()], change.tensor);
  if (file === undefined || key === undefined) return;
  const tensors = new Map<string, HostTensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  const tensor = tensors.get(key)!;
  if ("drop" in change) tensors.delete(key);
  else if ("name" in change) tensors.set(key.replace(/[a-zA-Z_]+/, change.name), tensor);
  else if ("with" in change) {
    const other = pick([...tensors.keys()], change.with)!;
    tensors.set(key, tensors.get(other)!).set(other, tensor);
  } else tensors.set(key, changedTensor(tensor, change));
  try {
    files.set(path, encodeSafetensors(tensors));
  } catch {
    // A shape that no file can have.
  }
}

/** Does one change in place; one that finds nothing to change does nothing. */
export async function apply(files: Files, change: Change): Promise<void> {
  if ("value" in change || "forget" in change) return changeConfig(files, change);
  if ("tensor" in change) return changeTensors(files, change);
  const paths = [...files.keys()];
  const [where] = Object.values(change) as [At];
  const path = pick(paths, where);
  if (path === undefined) return;
  const bytes = Uint8Array.from(files.get(path)!);
  if ("remove" in change) files.delete(path);
  else if ("copy" in change) files.set(pick(paths, change.to)!, bytes);
  else if ("cut" in change) files.set(path, bytes.subarray(0, Math.floor(change.at * bytes.length)));
  else {
    if (bytes.length > 0) bytes[Math.floor(change.at * bytes.length)]! ^= 1 << change.bit;
    files.set(path, bytes);
  }
}
