/**
 * The tfjs executor: tensor-level graphs by the wasm or the cpu backend of TensorFlow.js. It is a reference that shares no kernel with the other
 * executors, and takes and gives `tf.Tensor`s.
 */
import { sizeOf } from "../../../ir/types.ts";
import { type ExecutableProgram, sliceOf } from "../../../program/index.ts";
import type { MemoryUse } from "../../../program/memory.ts";
import { toFloat32 } from "../../files/tensor.ts";
import {
  checkBindings,
  type Executor,
  initialStorage,
  type PortTensor,
  portUploads,
  programPorts,
  type Reads,
} from "../executor.ts";
import { stagesRead } from "../memory.ts";
import { type BackendName, type BackendOptions, type LoadedBackend, loadBackend } from "./backend.ts";
import { TfjsInstance } from "./instance.ts";
import { sizesBackend } from "./sizes.ts";

export interface TfjsExecutor extends Executor {
  readonly backend: BackendName;
}

/** Loads tfjs and starts a backend; see `BackendOptions`. */
export async function tfjsExecutor(options: BackendOptions = {}): Promise<TfjsExecutor> {
  const loaded = await loadBackend(options);
  return {
    name: "tfjs",
    description: `TensorFlow.js (${loaded.backend})`,
    backend: loaded.backend,
    forecast: async (program, reads) => usedWithSizes(program, reads, await sizesBackend(loaded.tf)),
    async instantiate(program, data, instantiateOptions) {
      checkBindings(program);
      const instance = new TfjsInstance(program, loaded);
      try {
        for await (const { port, tensor } of portUploads(program, data, instantiateOptions)) {
          instance.upload(port.name, tensor, port.type);
        }
        for (const { name, tensor } of await initialStorage(program, data)) instance.write(name, floats(tensor));
        return instance;
      } catch (error) {
        instance.dispose();
        throw error;
      }
    },
  };
}

const floats = (tensor: PortTensor): Float32Array =>
  "bytes" in tensor ? toFloat32(tensor) : Float32Array.from(tensor);

/** What an instance takes that runs the stages of the reads for each of them, and again, with tensors that have no numbers. */
async function usedWithSizes(program: ExecutableProgram, reads: Reads, sizes: LoadedBackend): Promise<MemoryUse> {
  checkBindings(program);
  const instance = new TfjsInstance(program, sizes);
  try {
    const ports = [...programPorts(program).values()];
    for (const { name, role, type } of ports)
      if (role !== "input" && sliceOf(program.storage, name) === undefined) instance.reserve(name, type);
    const inputs = ports.filter(({ role }) => role === "input");
    const zeros = Object.fromEntries(inputs.map(({ name, type }) => [name, new Float32Array(sizeOf(type.shape))]));
    const stages = stagesRead(program, reads);
    // Values that are kept between runs are there from the second time on.
    const again = stages.filter(({ stage }) => stage.name !== "prepare");
    for (const { stage, reads: lists } of [...stages, ...again])
      for (const want of lists) await instance.run([stage.name], zeros, want);
    return instance.memory;
  } finally {
    instance.dispose();
  }
}
