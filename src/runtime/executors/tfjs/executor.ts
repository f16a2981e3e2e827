/**
 * The tfjs executor: tensor-level graphs by the wasm or the cpu backend of TensorFlow.js. It is the fallback where there is no WebGPU, and a
 * reference that shares no kernel with it. A run is synchronous on the calling thread. Values are freed after their last use, so that memory
 * stays flat; bf16 and f16 weights are expanded to f32 once, at upload.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorType } from "../../../ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../../program/index.ts";
import { toFloat32, toInt32 } from "../../files/tensor.ts";
import {
  checkBindings,
  type Executor,
  type Instance,
  initialStorage,
  inputData,
  type PortTensor,
  portUploads,
  programPorts,
  type RunInputs,
  stageOf,
  type TracedStep,
} from "../executor.ts";
import { type BackendName, type BackendOptions, type LoadedBackend, loadBackend, withBackend } from "./backend.ts";
import { Evaluation, type PreparedStage } from "./evaluation.ts";
import { FrozenNumbers, frozenRoots, type Schedule, schedule } from "./schedule.ts";
import { upload } from "./values.ts";

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

function portData(tensor: PortTensor, type: TensorType): ArrayLike<number> {
  if (!("bytes" in tensor)) return tensor;
  return type.dtype === "f32" || type.dtype === "f16" || type.dtype === "bf16" ? toFloat32(tensor) : toInt32(tensor);
}

/** A stage of a run, on its way. */
interface BegunStage {
  readonly stage: PreparedStage;
  readonly plan: Schedule;
  readonly evaluation: Evaluation;
}

class TfjsInstance implements Instance {
  private readonly ports;
  private readonly buffers: Map<string, Float32Array>;
  /** Tensors of weights and buffers by port name. */
  private readonly constants = new Map<string, Tensor>();
  /** Tensors of bound ports, as long as their buffer is not written. */
  private readonly bound = new Map<string, Tensor>();
  /** Values computed from constants only, by frozen number and layout. */
  private readonly frozen = new Map<string, Tensor>();
  private readonly frozenNumbers = new FrozenNumbers();
  private readonly stages = new Map<StageName, PreparedStage>();
  private disposed = false;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly loaded: LoadedBackend,
  ) {
    this.ports = programPorts(program);
    this.buffers = new Map(program.storage.buffers.map((b) => [b.name, new Float32Array(b.size)]));
  }

  upload(name: string, tensor: PortTensor, type: TensorType): void {
    withBackend(this.loaded, () => this.constants.set(name, upload(this.loaded.tf, portData(tensor, type), type)));
  }

  private view(name: string): Float32Array {
    if (this.disposed) throw new Error("the instance is disposed");
    const slice = sliceOf(this.program.storage, name);
    if (slice === undefined) throw new Error(`the program has no storage called ${name}`);
    return this.buffers.get(slice.buffer)!.subarray(slice.offset, slice.offset + slice.size);
  }

  write(name: string, data: ArrayLike<number>): void {
    const view = this.view(name);
    if (view.length !== data.length) throw new Error(`${name} holds ${view.length} numbers, not ${data.length}`);
    view.set(data);
    const { buffer } = sliceOf(this.program.storage, name)!;
    for (const [port, tensor] of this.bound) {
      if (sliceOf(this.program.storage, port)!.buffer !== buffer) continue;
      tensor.dispose();
      this.bound.delete(port);
    }
  }

  async read(name: string): Promise<Float32Array> {
    return this.view(name).slice();
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    if (this.disposed) throw new Error("the instance is disposed");
    const results: Record<string, Float32Array> = {};
    withBackend(this.loaded, () => {
      for (const name of stages) this.runStage(name, inputs, want, results);
    });
    const wanted = want.map((name): [string, Float32Array] => {
      const data = sliceOf(this.program.storage, name) === undefined ? results[name] : this.view(name).slice();
      if (data === undefined) throw new Error(`no stage of ${stages.join(", ")} has an output ${name}`);
      return [name, data];
    });
    return Object.fromEntries(wanted);
  }

  private prepare(name: StageName): PreparedStage {
    const known = this.stages.get(name);
    if (known !== undefined) return known;
    const { graph } = stageOf(this.program, name);
    const numbers = this.frozenNumbers.number(graph, (port) => this.constants.has(port));
    const prepared = { graph, numbers, roots: frozenRoots(graph, numbers), schedules: new Map<string, Schedule>() };
    this.stages.set(name, prepared);
    return prepared;
  }

  private isBound(output: string): boolean {
    return sliceOf(this.program.storage, output) !== undefined;
  }

  private begin(name: StageName, inputs: RunInputs, want: readonly string[]): BegunStage {
    const stage = this.prepare(name);
    const wanted = stage.graph.outputs
      .map((o) => o.name)
      .filter((output) => this.isBound(output) || want.includes(output));
    const key = JSON.stringify(wanted);
    const plan = stage.schedules.get(key) ?? schedule(stage.graph, (output) => wanted.includes(output), stage.roots);
    stage.schedules.set(key, plan);
    const evaluation = new Evaluation(this.loaded.tf, stage, this.frozen, (port) => this.portTensor(port, inputs));
    return { stage, plan, evaluation };
  }

  private runStage(
    name: StageName,
    inputs: RunInputs,
    want: readonly string[],
    results: Record<string, Float32Array>,
  ): void {
    const { plan, evaluation } = this.begin(name, inputs, want);
    try {
      for (const { node, frees } of plan.steps) {
        evaluation.step(node);
        evaluation.release(frees);
      }
      this.end(plan, evaluation, results);
    } finally {
      evaluation.dispose();
    }
  }

  /** All outputs are read before any is written: a port may be the same storage as an output. */
  private end({ outputs }: Schedule, evaluation: Evaluation, results: Record<string, Float32Array>): void {
    const data = outputs.map((output): [string, Float32Array] => [output.name, evaluation.read(output.node)]);
    for (const [output, values] of data) {
      if (this.isBound(output)) this.write(output, values);
      else results[output] = values;
    }
  }

  async trace(
    stages: readonly StageName[],
    inputs: RunInputs,
    want: readonly string[],
    visit: (step: TracedStep) => Promise<boolean>,
  ): Promise<void> {
    for (const name of stages) {
      const inside = <T>(work: () => T): T => withBackend(this.loaded, work);
      const { stage, plan, evaluation } = this.begin(name, inputs, want);
      const { graph } = stage;
      try {
        for (const { node, frees } of plan.steps) {
          inside(() => evaluation.step(node));
          const numbers = async (id: number): Promise<Float32Array> => inside(() => evaluation.read(id));
          const reads = graph.nodes[node]!.inputs.filter((id) => evaluation.has(id));
          if (!(await visit({ stage: name, graph, reads, stores: [node], numbers }))) return;
          inside(() => evaluation.release(frees));
        }
        inside(() => this.end(plan, evaluation, {}));
      } finally {
        inside(() => evaluation.dispose());
      }
    }
  }

  /** The tensor of a port, and whether the run has to free it. */
  private portTensor(name: string, inputs: RunInputs): { tensor: Tensor; owned: boolean } {
    const port = this.ports.get(name)!;
    const kept = this.constants.get(name) ?? this.bound.get(name);
    if (kept !== undefined) return { tensor: kept, owned: false };
    if (sliceOf(this.program.storage, name) === undefined) {
      return { tensor: upload(this.loaded.tf, inputData(inputs, port), port.type), owned: true };
    }
    const tensor = upload(this.loaded.tf, this.view(name), port.type);
    this.bound.set(name, tensor);
    return { tensor, owned: false };
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    withBackend(this.loaded, () => {
      for (const kept of [this.constants, this.bound, this.frozen]) {
        for (const tensor of kept.values()) tensor.dispose();
        kept.clear();
      }
    });
    this.buffers.clear();
  }
}
