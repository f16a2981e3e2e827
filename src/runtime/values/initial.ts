/** First values of an adapter: from a file, or fresh from the method's own distributions. */

import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import { evaluate } from "../../ir/evaluate.ts";
import { ports } from "../../ir/graph.ts";
import { atRest, feed } from "../../ir/run-inputs.ts";
import { planLoading, type TensorSpec } from "../../methods/config/checkpoint.ts";
import type { AdapterPlan, AdapterTensor, CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import { type HostTensor, toFloat32 } from "../files/tensor.ts";
import { sameNumbers } from "../files/ties.ts";
import { onBaseRows } from "./base-rows.ts";
import { baseSpecs, differentEnds, readBase, withBaseOf } from "./base-tensors.ts";
import { keysInFile, turnedTensor } from "./file-shape.ts";
import { checkConstant, checkPlaces, finiteTensors, floatNumbers, wholeNumbers } from "./numbers.ts";
import { requireEncoder, storedOutput } from "./prompt-encoder.ts";
import { decodeTopK, isTopK, topKSpecs } from "./top-k.ts";
import type { AdapterTensors, AdapterValues } from "./values.ts";

/** Values of a fresh adapter. Weights that the initial values depend on are read from the model. */
export async function freshValues(program: CompiledProgram, model: Model, seed: number): Promise<AdapterValues> {
  const plan = program.adapter;
  if (plan === undefined) return { params: new Map(), buffers: new Map(), asRead: new Map(), forms: new Map() };
  const params = new Map<string, Float32Array>();
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
  for (const tensor of plan.tensors) {
    if (tensor.copyOf !== undefined) params.set(tensor.key, toFloat32(await model.weights.read(tensor.copyOf)).slice());
  }
  const asRead = new Map<string, HostTensor>();
  for (const { key, weight } of plan.frozen) asRead.set(key, await model.weights.read(weight));
  return onBaseRows(program, model, { params, buffers, asRead, forms: new Map() }, false);
}

/** Every key that one of the adapter's files may hold, with its shape. */
function expectedTensors(plan: AdapterPlan, file: AdapterTensor["file"]): TensorSpec[] {
  return plan.tensors
    .filter((tensor) => tensor.saved && tensor.file === file)
    .flatMap((tensor) =>
      isTopK(tensor)
        ? topKSpecs(tensor)
        : keysInFile(tensor).map(({ key, shape }) => ({ key, shape, tensor: tensor.key })),
    );
}

/** A tensor that a file has: the key that it is known by, the file's, and what it is there and under its own key. */
interface TensorRead {
  readonly key: string;
  readonly inFile: string;
  readonly value: HostTensor;
  readonly asRead: HostTensor;
}

/**
 * A tensor under every key by which the file has it, as it is under its own key. Throws FILE-ADAPTER-TIES where they differ: none of them
 * may be passed over.
 */
async function readAll(
  tensor: AdapterTensor,
  file: AdapterTensors,
  mapping: ReadonlyMap<string, string>,
): Promise<TensorRead[]> {
  const found: TensorRead[] = [];
  for (const { key, turned } of keysInFile(tensor)) {
    const inFile = mapping.get(key);
    if (inFile === undefined) continue;
    const asRead = await file.read(inFile);
    const value = turned ? turnedTensor(asRead, inFile) : asRead;
    const [first] = found;
    if (first !== undefined && !sameNumbers(first.value, value)) throw differentEnds(tensor.key, first.inFile, inFile);
    found.push({ key, inFile, value, asRead });
  }
  return found;
}

/** Values of an adapter file, checked against what the program wants; see `planLoading` for the errors. */
export async function loadedValues(
  program: CompiledProgram,
  model: Model,
  files: { readonly tensors: AdapterTensors; readonly encoder?: AdapterTensors },
  sink: DiagnosticSink,
): Promise<AdapterValues> {
  const plan = program.adapter!;
  const file = finiteTensors(files.tensors);
  const encoder = requireEncoder(plan, files.encoder && finiteTensors(files.encoder));
  const planOf = (source: AdapterTensors, name?: AdapterTensor["file"]) =>
    planLoading(
      {
        peftType: plan.peftType,
        expected: expectedTensors(plan, name),
        file: [...source.tensors].map(([key, { shape }]) => ({ key, shape })),
        fields: plan.fields,
        ...(name === undefined ? { base: baseSpecs(plan, model) } : {}),
      },
      sink,
    );
  const loading = planOf(file);
  const params = new Map<string, Float32Array>();
  const buffers = new Map<string, Float32Array | Int32Array>(plan.data);
  const asRead = new Map<string, HostTensor>();
  for (const tensor of plan.tensors.filter(isTopK)) {
    const [indices, weights] = await Promise.all(
      topKSpecs(tensor).map(async ({ key }) => {
        const value = await file.read(loading.mapping.get(key)!);
        if (tensor.role === "buffer") asRead.set(key, value);
        return value;
      }),
    );
    const logits = decodeTopK(tensor, indices!, weights!);
    if (tensor.role === "param") params.set(tensor.key, logits);
    else buffers.set(tensor.key, logits);
  }
  if (encoder !== undefined && plan.tensors.some((tensor) => tensor.file !== undefined))
    for (const [key, inFile] of planOf(encoder, "encoder").mapping)
      params.set(key, floatNumbers(await encoder.read(inFile), inFile));
  const own = plan.tensors.filter(
    ({ role, saved, file: other }) => role !== "computed" && saved && other === undefined,
  );
  for (const tensor of own.filter((t) => !isTopK(t))) {
    const found = await readAll(tensor, file, loading.mapping);
    const [first] = found;
    if (first === undefined) continue;
    const { value, inFile } = first;
    if (tensor.role === "param") params.set(tensor.key, floatNumbers(value, inFile));
    else {
      checkPlaces(tensor, value);
      const data = tensor.dtype === "f32" ? floatNumbers(value, inFile) : wholeNumbers(value, tensor.key);
      checkConstant(plan, tensor, data);
      buffers.set(tensor.key, data);
      for (const { key, asRead: read } of found) asRead.set(key, read);
    }
  }
  const read = (key: string) => file.read(loading.mapping.get(key)!);
  for (const [key, value] of await storedOutput(program, params, read, sink)) asRead.set(key, value);
  for (const key of [...loading.carried, ...loading.base.values()]) asRead.set(key, await file.read(key));
  const base = await readBase(program, model, file, loading.base, sink);
  const seen = withBaseOf(model, { base });
  return onBaseRows(program, seen, { params, buffers, asRead, forms: new Map(), base }, true);
}
