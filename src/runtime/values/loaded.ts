/** Values of an adapter from its files, every tensor by its codec. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { AdapterTensor, CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import type { HostTensor } from "../files/tensor.ts";
import { baseSpecs, readBase, withBaseOf } from "./base-tensors.ts";
import type { FoundTensor, Numbers } from "./codecs/codec.ts";
import { codecsOf } from "./codecs/index.ts";
import { type LoadPlan, planLoading } from "./load-plan.ts";
import { checkConstant, finiteTensors } from "./numbers.ts";
import { requireEncoder, storedOutput } from "./prompt-encoder.ts";
import type { AdapterTensors, AdapterValues } from "./values.ts";

/** A file, and under which key it has what. */
interface PlannedFile {
  readonly tensors: AdapterTensors;
  readonly plan: LoadPlan;
}

async function find({ tensors, plan }: PlannedFile, key: string): Promise<FoundTensor | undefined> {
  const inFile = plan.mapping.get(key);
  return inFile === undefined ? undefined : { inFile, tensor: await tensors.read(inFile) };
}

/** Values of an adapter's files, checked against what the program wants; see `planLoading` and the codecs for the errors. */
export async function loadedValues(
  program: CompiledProgram,
  model: Model,
  files: { readonly tensors: AdapterTensors; readonly encoder?: AdapterTensors },
  sink: DiagnosticSink,
): Promise<AdapterValues> {
  const plan = program.adapter!;
  let seen = model;
  const codecs = codecsOf({ program, model: () => seen });
  const inFiles = plan.tensors.filter(({ saved }) => saved);
  const planned = (tensors: AdapterTensors, name?: AdapterTensor["file"]): PlannedFile => ({
    tensors,
    plan: planLoading(
      {
        rules: plan.fileRules,
        expected: inFiles.flatMap(({ key, file }) => (file === name ? codecs.get(key)!.specs : [])),
        file: [...tensors.tensors].map(([key, { shape }]) => ({ key, shape })),
        fields: plan.fields,
        ...(name === undefined ? { base: baseSpecs(plan, model) } : {}),
      },
      sink,
    ),
  });
  const encoderTensors = requireEncoder(plan, files.encoder && finiteTensors(files.encoder));
  const own = planned(finiteTensors(files.tensors));
  const hasEncoder = encoderTensors !== undefined && inFiles.some(({ file }) => file !== undefined);
  const encoder = hasEncoder ? planned(encoderTensors, "encoder") : undefined;
  const base = await readBase(program, model, own.tensors, own.plan.base, sink);
  seen = withBaseOf(model, { base });

  const params = new Map<string, Float32Array>();
  const buffers = new Map<string, Numbers>(plan.data);
  const asRead = new Map<string, HostTensor>();
  for (const tensor of inFiles.filter(({ role }) => role !== "computed")) {
    const { key, role } = tensor;
    const numbers = await codecs.get(key)!.decode(async (part) => {
      const found = await find(tensor.file === undefined ? own : encoder!, part);
      if (role === "buffer" && found !== undefined) asRead.set(part, found.tensor);
      return found;
    });
    if (numbers === undefined) continue;
    checkConstant(plan, tensor, numbers);
    if (role === "buffer") buffers.set(key, numbers);
    else params.set(key, Float32Array.from(numbers));
  }
  const read = async (key: string): Promise<HostTensor> => (await find(own, key))!.tensor;
  for (const [key, value] of await storedOutput(program, params, read, sink)) asRead.set(key, value);
  for (const key of [...own.plan.carried, ...own.plan.base.values()]) asRead.set(key, await own.tensors.read(key));
  return { params, buffers, asRead, base, codecs };
}
