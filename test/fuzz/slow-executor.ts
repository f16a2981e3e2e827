/**
 * An executor that computes nothing of a model and takes its time: results are mixed of all that a run is given, and every run reads storage,
 * waits, and only then writes. Calls that are not one behind the other lose each other's changes.
 */

import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../src/program/index.ts";
import {
  type Executor,
  type Instance,
  initialStorage,
  portUploads,
  type RunInputs,
  stageOf,
} from "../../src/runtime/executors/executor.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";

/** A number of moderate size that depends on every number and its place. */
function mixed(...all: readonly ArrayLike<number>[]): number {
  let sum = 0;
  for (const data of all) for (let i = 0; i < data.length; i++) sum = Math.sin(sum + data[i]! * (1 + (i % 7)) + i);
  return sum;
}

class SlowInstance implements Instance {
  private readonly buffers: Map<string, Float32Array>;
  private isDisposed = false;
  private runs = 0;

  constructor(private readonly program: ExecutableProgram) {
    this.buffers = new Map(program.storage.buffers.map(({ name, size }) => [name, new Float32Array(size)]));
  }

  private view(name: string): Float32Array {
    if (this.isDisposed) throw new Error("the instance is gone");
    const { buffer, offset, size } = sliceOf(this.program.storage, name)!;
    return this.buffers.get(buffer)!.subarray(offset, offset + size);
  }

  write(name: string, data: Float32Array): void {
    this.view(name).set(data);
  }

  async read(name: string): Promise<Float32Array> {
    await this.wait();
    return this.view(name).slice();
  }

  /** None, some or many turns of the queue of microtasks, in a fixed order. */
  private async wait(): Promise<void> {
    const turns = [0, 3, 1, 12, 5][this.runs++ % 5]!;
    for (let i = 0; i < turns; i++) await Promise.resolve();
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    const given = Object.entries(inputs).map(([name, data]) => mixed(data, [name.length]));
    const before = new Map([...this.buffers].map(([name, data]) => [name, data.slice()]));
    const results: Record<string, Float32Array> = {};
    await this.wait();
    for (const stage of stages) this.stage(stage, given, inputs, before, want, results);
    if (this.isDisposed) throw new Error("the instance is gone");
    for (const [name, data] of before) this.buffers.get(name)!.set(data);
    for (const name of want) results[name] ??= this.view(name).slice();
    return results;
  }

  private stage(
    stage: StageName,
    given: readonly number[],
    inputs: RunInputs,
    storage: ReadonlyMap<string, Float32Array>,
    want: readonly string[],
    results: Record<string, Float32Array>,
  ): void {
    const seed = mixed(given, storage.get("params") ?? []);
    const [grads, total] = [storage.get("grads"), storage.get("grads_total")];
    if (stage === "micro")
      grads!.forEach((_x, i) => {
        grads![i] = Math.sin(seed + i);
      });
    if (stage === "accumulate")
      total!.forEach((x, i) => {
        total![i] = (inputs.first![0] === 1 ? 0 : x) + grads![i]!;
      });
    if (stage === "update") this.update(inputs, storage, total ?? grads!);
    const { graph } = stageOf(this.program, stage);
    for (const { name, node } of graph.outputs) {
      if (sliceOf(this.program.storage, name) !== undefined || !want.includes(name)) continue;
      const { shape } = graph.nodes[node]!.type as TensorType;
      results[name] = Float32Array.from({ length: sizeOf(shape) }, (_unused, i) => Math.cos(seed + i));
    }
  }

  private update(inputs: RunInputs, storage: ReadonlyMap<string, Float32Array>, grads: Float32Array): void {
    const [params, moment1, moment2] = ["params", "moment1", "moment2"].map((name) => storage.get(name)!);
    const [lr, decay] = [inputs.lr![0]!, inputs.weight_decay![0]!];
    const next = params!.map((x, i) => x - x * lr * decay - lr * grads[i]!);
    const holds = next.every(Number.isFinite);
    if (holds) {
      params!.set(next);
      moment1!.forEach((x, i) => {
        moment1![i] = 0.9 * x + 0.1 * grads[i]!;
      });
      moment2!.forEach((x, i) => {
        moment2![i] = 0.9 * x + 0.1 * grads[i]! ** 2;
      });
    }
    storage.get("status")!.set([mixed(grads), 1, holds ? 1 : 0, 1]);
  }

  dispose(): void {
    this.isDisposed = true;
  }
}

export const slowExecutor: Executor = {
  name: "slow",
  description: "nothing, slowly",
  async instantiate(program, data, options) {
    const instance = new SlowInstance(program);
    for await (const _upload of portUploads(program, data, options));
    for (const { name, tensor } of await initialStorage(program, data))
      instance.write(name, "bytes" in tensor ? toFloat32(tensor) : Float32Array.from(tensor));
    return instance;
  },
};
