/**
 * A program on a backend of TensorFlow.js. A run is synchronous on the calling thread. Values are freed after their last use, so that memory
 * stays flat; bf16 and f16 weights are expanded to f32 once, at upload.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { TensorType } from "../../../ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../../program/index.ts";
import { addedUse, type MemoryUse, partOfStorage } from "../../../program/memory.ts";
import { toFloat32, toInt32 } from "../../files/tensor.ts";
import {
  type Instance,
  inputData,
  type PortTensor,
  programPorts,
  type RunInputs,
  stageOf,
  type TracedStep,
} from "../executor.ts";
import { type LoadedBackend, withBackend } from "./backend.ts";
import { Evaluation, type PreparedStage } from "./evaluation.ts";
import { Meter } from "./meter.ts";
import { FrozenNumbers, frozenRoots, type Schedule, schedule } from "./schedule.ts";
import { tfType, upload } from "./values.ts";

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

export class TfjsInstance implements Instance {
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
  private readonly meter: Meter;
  private disposed = false;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly loaded: LoadedBackend,
  ) {
    this.ports = programPorts(program);
    this.buffers = new Map(program.storage.buffers.map((b) => [b.name, new Float32Array(b.size)]));
    this.meter = new Meter(() => loaded.tf.memory().numBytes);
  }

  private inside<T>(work: () => T): T {
    return withBackend(this.loaded, () => this.meter.within(work));
  }

  /** Everything that TensorFlow.js made beside the weights and tables counts as activations: weights in other orders, and copies of parameters, too. */
  get memory(): MemoryUse {
    const constants = [...this.constants].map(([name, { size, dtype }]) => {
      const bytes = size * (dtype === "bool" ? 1 : 4);
      return { [this.ports.get(name)!.role === "weight" ? "weights" : "tables"]: bytes };
    });
    const buffers = [...this.buffers].map(([name, { byteLength }]) => ({ [partOfStorage(name)]: byteLength }));
    const known = addedUse(...constants);
    const activations = Math.max(0, this.meter.most - known.weights - known.tables);
    return addedUse(known, ...buffers, { activations });
  }

  upload(name: string, tensor: PortTensor, type: TensorType): void {
    this.inside(() => this.constants.set(name, upload(this.loaded.tf, portData(tensor, type), type)));
  }

  /** The same without numbers. */
  reserve(name: string, type: TensorType): void {
    this.inside(() => this.constants.set(name, this.loaded.tf.fill([...type.shape], 0, tfType(type.dtype))));
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
    this.inside(() => {
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
    const portTensor = (port: string) => this.portTensor(port, inputs);
    const evaluation = new Evaluation(this.loaded, stage, this.frozen, portTensor, () => this.meter.note());
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
      const { stage, plan, evaluation } = this.begin(name, inputs, want);
      const { graph } = stage;
      try {
        for (const { node, frees } of plan.steps) {
          this.inside(() => evaluation.step(node));
          const numbers = async (id: number): Promise<Float32Array> => this.inside(() => evaluation.read(id));
          const reads = graph.nodes[node]!.inputs.filter((id) => evaluation.has(id));
          if (!(await visit({ stage: name, graph, reads, stores: [node], numbers }))) return;
          this.inside(() => evaluation.release(frees));
        }
        this.inside(() => this.end(plan, evaluation, {}));
      } finally {
        this.inside(() => evaluation.dispose());
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
    this.inside(() => {
      for (const kept of [this.constants, this.bound, this.frozen]) {
        for (const tensor of kept.values()) tensor.dispose();
        kept.clear();
      }
    });
    this.buffers.clear();
  }
}
