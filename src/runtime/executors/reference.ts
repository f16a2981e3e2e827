/** The oracle as an executor: stages by f64 evaluation, storage in f32 (as on a device) or in f64. Slow and plain on purpose. */
import { evaluate, evaluateAll } from "../../ir/evaluate.ts";
import { compact, type Graph, type Node, portName, portRole } from "../../ir/graph.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../program/index.ts";
import { toFloat32, toInt32 } from "../files/tensor.ts";
import {
  checkBindings,
  type Executor,
  type Instance,
  type InstantiateOptions,
  initialStorage,
  inputData,
  type PortSource,
  type PortTensor,
  portUploads,
  programPorts,
  type RunInputs,
  stageOf,
  type TracedStep,
} from "./executor.ts";
import { floatsOf } from "./words.ts";

export interface ReferenceOptions {
  /** What storage keeps between stages; f32 unless said otherwise. */
  readonly storage?: "f32" | "f64";
}

/** A copy of port data as numbers that f64 holds exactly. */
function toNumbers(tensor: PortTensor, integers: boolean): PortTensor & ArrayLike<number> {
  if (!("bytes" in tensor)) return tensor.slice();
  return integers ? toInt32(tensor) : toFloat32(tensor).slice();
}

/** The numbers of the ports that are not bound to storage, by name. */
export async function constantsOf(
  program: ExecutableProgram,
  data: ReadonlyMap<string, PortSource>,
  options?: InstantiateOptions,
): Promise<Map<string, ArrayLike<number>>> {
  const constants = new Map<string, ArrayLike<number>>();
  for await (const { port, tensor } of portUploads(program, data, options)) {
    const { dtype } = port.type;
    constants.set(port.name, toNumbers(tensor, dtype === "i32" || dtype === "u32" || dtype === "bool"));
  }
  return constants;
}

export function referenceExecutor(options: ReferenceOptions = {}): Executor {
  const single = options.storage !== "f64";
  return {
    name: "reference",
    description: "f64 evaluation",
    async instantiate(program, data, instantiateOptions) {
      checkBindings(program);
      const constants = await constantsOf(program, data, instantiateOptions);
      const instance = new ReferenceInstance(program, constants, single);
      for (const { name, tensor } of await initialStorage(program, data)) instance.write(name, floatsOf(tensor));
      return instance;
    },
  };
}

class ReferenceInstance implements Instance {
  private readonly buffers: Map<string, Float32Array | Float64Array>;
  private readonly ports;
  private disposed = false;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly constants: Map<string, ArrayLike<number>>,
    single: boolean,
  ) {
    this.ports = programPorts(program);
    this.buffers = new Map(
      program.storage.buffers.map((b) => [b.name, single ? new Float32Array(b.size) : new Float64Array(b.size)]),
    );
  }

  private view(name: string): Float32Array | Float64Array {
    if (this.disposed) throw new Error("the instance is disposed");
    const slice = sliceOf(this.program.storage, name);
    if (slice === undefined) throw new Error(`the program has no storage called ${name}`);
    return this.buffers.get(slice.buffer)!.subarray(slice.offset, slice.offset + slice.size);
  }

  write(name: string, data: Float32Array | Float64Array): void {
    const view = this.view(name);
    if (view.length !== data.length) throw new Error(`${name} holds ${view.length} numbers, not ${data.length}`);
    view.set(data);
  }

  async read(name: string): Promise<Float32Array> {
    return Float32Array.from(this.view(name));
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    if (this.disposed) throw new Error("the instance is disposed");
    const results: Record<string, Float32Array> = {};
    for (const name of stages) {
      const outputs = this.runStage(stageOf(this.program, name).graph, inputs, want);
      for (const [output, data] of outputs) results[output] = Float32Array.from(data);
    }
    const wanted = want.map((name): [string, Float32Array] => {
      const data =
        sliceOf(this.program.storage, name) === undefined ? results[name] : Float32Array.from(this.view(name));
      if (data === undefined) throw new Error(`no stage of ${stages.join(", ")} has an output ${name}`);
      return [name, data];
    });
    return Object.fromEntries(wanted);
  }

  /** Runs one stage, writes its bound outputs, and gives the others that are wanted. */
  private runStage(graph: Graph, inputs: RunInputs, want: readonly string[]): [string, Float64Array][] {
    const bound = (name: string): boolean => sliceOf(this.program.storage, name) !== undefined;
    const outputs = graph.outputs.filter((output) => bound(output.name) || want.includes(output.name));
    const live = compact({ ...graph, outputs });
    const values = evaluate(live, this.portData(live, inputs));
    for (const { name } of outputs) if (bound(name)) this.view(name).set(values[name]!.data);
    return outputs.filter(({ name }) => !bound(name)).map(({ name }) => [name, values[name]!.data]);
  }

  private portData(graph: Graph, inputs: RunInputs): Record<string, ArrayLike<number>> {
    const ofPort = (node: Node): [string, ArrayLike<number>] => {
      const name = portName(node);
      if (sliceOf(this.program.storage, name) !== undefined) return [name, this.view(name)];
      return [name, portRole(node) === "input" ? inputData(inputs, this.ports.get(name)!) : this.constants.get(name)!];
    };
    return Object.fromEntries(graph.nodes.filter(({ op }) => op === "port").map(ofPort));
  }

  async trace(
    stages: readonly StageName[],
    inputs: RunInputs,
    _want: readonly string[],
    visit: (step: TracedStep) => Promise<boolean>,
  ): Promise<void> {
    for (const stage of stages) {
      const { graph } = stageOf(this.program, stage);
      const values = evaluateAll(graph, this.portData(graph, inputs));
      const numbers = async (node: number): Promise<Float32Array> => Float32Array.from(values[node]!.data);
      for (const [id, { inputs: reads }] of graph.nodes.entries())
        if (!(await visit({ stage, graph, reads, stores: [id], numbers }))) return;
      for (const { name, node } of graph.outputs)
        if (sliceOf(this.program.storage, name) !== undefined) this.view(name).set(values[node]!.data);
    }
  }

  dispose(): void {
    this.disposed = true;
    this.buffers.clear();
    this.constants.clear();
  }
}
