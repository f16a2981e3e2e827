/**
 * Merging, tensor by tensor: each merged weight is one small program made of its part of the merge stage, so that memory holds one weight at
 * a time. Computed in f32, rounded once to the base's dtype.
 */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { compact, type Graph, portName, ports } from "../../ir/graph.ts";
import { atRest, feed } from "../../ir/run-inputs.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { Executor, PortSource } from "../executors/executor.ts";
import type { Model } from "../files/model.ts";
import { fromFloat32, type HostTensor, type TensorDtype, toFloat32 } from "../files/tensor.ts";
import { withTextOf } from "../files/text-files.ts";
import { duplicates } from "../files/ties.ts";
import type { WeightInfo } from "../files/weights.ts";
import { withBaseOf } from "./base-tensors.ts";
import { mergedForm, warnOfForm } from "./merged-form.ts";
import type { AdapterValues } from "./values.ts";

/**
 * Keys of the base tensors that merging changes or adds; without an adapter those that train themselves. Among them are those that the
 * adapter's file holds.
 */
export function mergedKeys({ merge, adapter }: CompiledProgram, { base }: AdapterValues): string[] {
  if (merge !== undefined)
    return [...new Set([...merge().outputs.map((output) => output.name), ...(base?.keys() ?? [])])];
  return (adapter?.tensors ?? []).flatMap((tensor) => (tensor.copyOf === undefined ? [] : [tensor.copyOf]));
}

/** Throws `MERGE-HEAD-DRAWN` where tensors of the head are drawn and the adapter has none for them: what is written would hold noise. */
export function requireTrainedHead({ adapter }: CompiledProgram, { drawn = [], weights }: Model): void {
  const trained = new Set((adapter?.tensors ?? []).map(({ copyOf }) => copyOf));
  const keys = drawn.flatMap((path) => [`${path}.weight`, `${path}.bias`]);
  const lost = keys.filter((key) => weights.info(key) !== undefined && !trained.has(key));
  if (lost.length === 0) return;
  throw new WebpeftError("MERGE-HEAD-DRAWN", {
    message: "the head is neither in the base model's files nor in the adapter's, so that its numbers would be random",
    where: lost.join(", "),
    expected: "a head that was trained or loaded",
    help: "Train with these modules in modules_to_save, or take the base model whose head the adapter was trained with.",
  });
}

/** The part of the merge graph that makes one tensor. */
function partFor(graph: Graph, key: string): Graph {
  return compact({ ...graph, outputs: graph.outputs.filter((output) => output.name === key) });
}

/** The merged numbers under a key of `mergedKeys`, in f32. Throws `MERGE-NOT-FINITE` for what is not finite in the base's dtype. */
export async function mergedNumbers(
  program: CompiledProgram,
  model: Model,
  executor: Executor,
  values: AdapterValues,
  key: string,
): Promise<Float32Array> {
  const merge = program.merge?.();
  const data = merge?.outputs.some((output) => output.name === key)
    ? await computed(merge, withBaseOf(model, values), executor, values, key)
    : unmerged(program, values, key);
  const dtype = storedInfo(program, model, key).dtype;
  const odd = data.find((x) => !(Math.abs(x) < overflow(dtype)));
  if (odd !== undefined) throw notFinite(key, odd, dtype);
  return data;
}

/** A tensor of the base that nothing is merged into: one that trained, or one of the adapter's file. */
function unmerged({ adapter }: CompiledProgram, { params, base }: AdapterValues, key: string): Float32Array {
  const copy = adapter!.tensors.find((tensor) => tensor.copyOf === key);
  return copy === undefined ? toFloat32(base!.get(key)!) : params.get(copy.key)!;
}

/** From where on rounding gives infinity: halfway between the largest number and the power of two behind it. */
const overflow = (dtype: TensorDtype): number =>
  dtype === "F16" ? 65520 : dtype === "BF16" ? (2 - 2 ** -8) * 2 ** 127 : Number.POSITIVE_INFINITY;

const notFinite = (key: string, got: number, dtype: TensorDtype): WebpeftError =>
  new WebpeftError("MERGE-NOT-FINITE", {
    message: Number.isFinite(got)
      ? `a merged weight does not fit the base's ${dtype}: rounded, it would be infinite`
      : "NaNs detected in the merged weights; the adapter seems to be broken",
    where: key,
    expected: `finite numbers${overflow(dtype) === Number.POSITIVE_INFINITY ? "" : ` below ${overflow(dtype)}`}`,
    got: String(got),
    help: Number.isFinite(got)
      ? "merge into a base of a wider type, or keep the adapter beside the base model"
      : "check the adapter's tensors, or train it again with a smaller learning rate",
  });

/** Type and shape that a merged tensor has in the file. */
const storedInfo = (program: CompiledProgram, model: Model, key: string): WeightInfo =>
  mergedForm(program, model.weights, model.config).added.get(key) ?? model.weights.info(key)!;

/** The merged tensor under a key of `mergedKeys`, rounded to the base's dtype. */
async function mergedTensor(
  program: CompiledProgram,
  model: Model,
  executor: Executor,
  values: AdapterValues,
  key: string,
): Promise<HostTensor> {
  const { dtype, shape } = storedInfo(program, model, key);
  return fromFloat32(await mergedNumbers(program, model, executor, values, key), dtype, shape);
}

async function computed(
  graph: Graph,
  model: Model,
  executor: Executor,
  values: AdapterValues,
  key: string,
): Promise<Float32Array> {
  const part = partFor(graph, key);
  const data = new Map<string, PortSource>();
  for (const { name, node } of ports(part)) {
    const source = values.params.get(name) ?? values.buffers.get(name);
    if (source !== undefined) data.set(name, source);
    else if (node.attributes.role === "weight") data.set(name, () => model.weights.read(portName(node)));
  }
  const program = { stages: [{ name: "merge" as const, graph: part }], storage: { buffers: [], bindings: {} } };
  const instance = await executor.instantiate(program, data);
  try {
    const results = await instance.run(["merge"], feed(atRest), [key]);
    const type = part.nodes[part.outputs[0]!.node]!.type as TensorType;
    return results[key]!.subarray(0, sizeOf(type.shape));
  } finally {
    instance.dispose();
  }
}

/**
 * A model whose adapted weights are merged when they are read; nothing is copied before. The tokenizer and the chat template of the adapter's
 * folder go along. Where the base's form cannot hold what the adapter changes, the config says so and the model has further tensors
 * (`MergedForm`), with a warning. Throws `MERGE-HEAD-DRAWN`.
 */
export function mergedModel(
  program: CompiledProgram,
  model: Model,
  executor: Executor,
  values: AdapterValues,
  sink: DiagnosticSink,
): Model {
  requireTrainedHead(program, model);
  const merged = new Set(mergedKeys(program, values));
  const { weights } = model;
  const { added, copies, fields, ...changes } = mergedForm(program, weights, model.config);
  warnOfForm(changes, sink);
  // What the file holds twice stays twice the same.
  const twins = duplicates(program.model.modules, weights).filter(({ own }) => !merged.has(own));
  const source = new Map([...copies, ...twins.map(({ own, shared }) => [own, shared] as const)]);
  const tree = withTextOf(model.tree, values.tree);
  return {
    ...model,
    ...(tree && { tree }),
    diagnostics: [],
    config: { ...model.config, ...fields },
    weights: {
      keys: () => [...new Set([...weights.keys(), ...added.keys()])],
      info: (key) => added.get(key) ?? weights.info(key),
      read: async (name) => {
        const key = source.get(name) ?? name;
        if (merged.has(key)) return mergedTensor(program, model, executor, values, key);
        const fresh = added.get(key);
        if (fresh === undefined) return weights.read(copies.has(name) ? key : name);
        return fromFloat32(new Float32Array(sizeOf(fresh.shape)), fresh.dtype, fresh.shape);
      },
    },
  };
}
