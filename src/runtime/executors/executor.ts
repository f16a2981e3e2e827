/**
 * What the executors share (WebGPU, WebAssembly, tfjs, reference). An executor takes a program and the data behind its ports and makes an
 * instance: weights and buffers uploaded once, storage allocated and zeroed. `run` is one submit: the stages in the order given, each
 * reading storage as the stage before left it. Everything that outlives a run is in storage; nothing else is remembered between runs.
 *
 * For the WebGPU executor `run` is: write the scalars and inputs, re-encode the dispatches of the stages into one pass, copy what is wanted
 * into one staging buffer, submit, map. `write` is a `writeBuffer`, `read` a copy out. Calls take effect in the order they are made.
 */
import type { Dispatch, Generated, GeneratedKernel, Target } from "../../codegen/index.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Graph, type PortRole, portName, portRole } from "../../ir/graph.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import { type ExecutableProgram, type Stage, type StageName, sliceOf } from "../../program/index.ts";
import type { Clock } from "../../program/measurement.ts";
import type { MemoryUse } from "../../program/memory.ts";
import type { HostTensor } from "../files/tensor.ts";

/** Data of a port as the host holds it, row-major, as long as the port's shape says. */
export type PortTensor = HostTensor | Float32Array | Int32Array | Uint32Array;

/** Data, or a function that reads it when its turn comes, so that a large model is never whole in memory. */
export type PortSource = PortTensor | (() => Promise<PortTensor>);

/** Input data of one run by port name; integers and booleans as numbers. */
export type RunInputs = Readonly<Record<string, ArrayLike<number>>>;

/** Results and slices of storage that are read: each list by one run, or one call of `read`. */
export type Reads = readonly (readonly string[])[];

/** What one dispatch of a run took on the device. */
export interface KernelTime {
  readonly stage: string;
  readonly kernel: GeneratedKernel;
  readonly dispatch: Dispatch;
  readonly nanoseconds: number;
}

export interface InstantiateOptions {
  readonly signal?: AbortSignal;
  /** Called after each tensor that was uploaded. */
  readonly onProgress?: (loaded: number, total: number, name: string) => void;
  /** Kernels and plan that were made of the program before, if they are for this target; for executors that need kernels. */
  readonly generated?: (target: Target) => Generated | undefined;
  /**
   * Told after every run what each of its dispatches took, where the device has timestamps (`timestamp-query`); never called elsewhere, unless
   * `measures` asks for all. Runs are slower for it: every dispatch stands in a pass of its own.
   */
  readonly onKernels?: (times: readonly KernelTime[]) => void;
  /** Asked before every run what of it `onKernels` is told; what the device's clock can measure unless given. */
  readonly measures?: () => Measures;
}

/** `all`: where a device has no clock, every dispatch is a submit of its own, which is waited for. */
export type Measures = "none" | "clocked" | "all";

/** A dispatch that is over, or an op where there are no dispatches, for those who look at a run from inside. */
export interface TracedStep {
  readonly stage: StageName;
  readonly dispatch?: { readonly at: number; readonly kernel: string };
  /** Of the stage; copies of results may stand behind its last node. */
  readonly graph: Graph;
  /** Nodes whose values it has read and stored. */
  readonly reads: readonly number[];
  readonly stores: readonly number[];
  /** The numbers of one of them as they are in memory now, row-major. */
  numbers(node: number): Promise<Float32Array>;
}

export interface Executor {
  /** `webgpu`, `wasm`, `tfjs` or `reference`. */
  readonly name: string;
  /** What runs it, in words: the adapter or the backend. */
  readonly description: string;
  /** What it makes kernels for; absent where it makes none. */
  readonly target?: Target;
  /** What decides the last bits of its numbers beside its name, in words; absent where nobody knows. */
  readonly arithmetic?: string;
  /** Whose clock `onKernels` tells of when it is told of all; absent where nothing is measured. */
  readonly clock?: Clock;
  /** Whether a session first has it take a step with known numbers (`self-test.ts`): where kernels are made in no time. */
  readonly testsItself?: boolean;
  /**
   * What an instance of the program takes when it has done its work, and `reads` were read of it. Nothing is loaded; what is made for it
   * (kernels and plan) is kept for the next instance of the program. Absent where nobody counts.
   */
  forecast?(program: ExecutableProgram, reads: Reads, options?: InstantiateOptions): Promise<MemoryUse>;
  /**
   * `data` holds, by name, every weight and buffer port that is not bound to storage (`DATA-TENSOR-MISSING`, `DATA-TENSOR-SIZE` otherwise),
   * and may hold first contents of storage, by binding or buffer name (parameters by key). Names that the program lacks are ignored.
   * The data is copied: the caller may reuse its arrays.
   */
  instantiate(
    program: ExecutableProgram,
    data: ReadonlyMap<string, PortSource>,
    options?: InstantiateOptions,
  ): Promise<Instance>;
}

export interface Instance {
  /** What it has of its device, or had when it had most; absent where nobody counts. */
  readonly memory?: MemoryUse;
  /** Replaces a bound slice (a parameter by its key, a derived value) or a whole storage buffer (`moment1`). */
  write(name: string, data: Float32Array): void;
  /**
   * Runs stages in order as one submit. Outputs that are bound to storage are always computed and written when their stage ends; a stage
   * reads its ports as they were when it began, whatever it writes. Other outputs are computed when they are wanted.
   * `want` names outputs of these stages (the last stage that has it counts), bound slices or storage buffers; the values are those
   * after the last stage, integers and booleans as numbers. Missing inputs: `DATA-INPUT-MISSING`, wrong length: `DATA-INPUT-SIZE`.
   */
  run(stages: readonly StageName[], inputs: RunInputs, want?: readonly string[]): Promise<Record<string, Float32Array>>;
  /**
   * Runs stages as `run` does, one dispatch or op after the other, for as long as `visit`, which is told of each, says to go on. For looking
   * closely at a run that went wrong. Absent where nobody can look.
   */
  trace?(
    stages: readonly StageName[],
    inputs: RunInputs,
    want: readonly string[],
    visit: (step: TracedStep) => Promise<boolean>,
  ): Promise<void>;
  /** A copy of a bound slice or of a whole storage buffer. */
  read(name: string): Promise<Float32Array>;
  /** Frees everything; later calls throw. */
  dispose(): void;
}

/** The stage of a program; throws when it has none of that name. */
export function stageOf(program: ExecutableProgram, name: StageName): Stage {
  const stage = program.stages.find((s) => s.name === name);
  if (stage === undefined) throw new Error(`the program has no stage ${name}`);
  return stage;
}

export interface ProgramPort {
  readonly name: string;
  readonly role: PortRole;
  readonly type: TensorType;
}

/** All ports of all stages by name. Throws when two stages give one name different types. */
export function programPorts(program: ExecutableProgram): ReadonlyMap<string, ProgramPort> {
  const found = new Map<string, ProgramPort>();
  for (const stage of program.stages) {
    for (const node of stage.graph.nodes) {
      if (node.op !== "port" || node.type.kind !== "tensor") continue;
      const port = { name: portName(node), role: portRole(node), type: node.type };
      const known = found.get(port.name);
      if (known !== undefined && JSON.stringify(known.type) !== JSON.stringify(port.type)) {
        throw new Error(`the stages disagree about the type of port ${port.name}`);
      }
      found.set(port.name, port);
    }
  }
  return found;
}

/** Throws when a binding leaves its buffer, is not aligned, or does not fit the ports and outputs of its name. */
export function checkBindings(program: ExecutableProgram): void {
  const sizes = new Map(program.storage.buffers.map((b) => [b.name, b.size]));
  for (const [name, slice] of Object.entries(program.storage.bindings)) {
    const inside = slice.offset % 64 === 0 && slice.offset + slice.size <= (sizes.get(slice.buffer) ?? -1);
    if (!inside) throw new Error(`the binding of ${name} is not inside ${slice.buffer} or not aligned to 64 numbers`);
  }
  const check = (name: string, type: TensorType): void => {
    const slice = sliceOf(program.storage, name);
    if (slice === undefined) return;
    if (type.dtype !== "f32" || sizeOf(type.shape) !== slice.size) {
      throw new Error(`${name} is bound to ${slice.size} f32 numbers but is ${type.dtype}[${type.shape.join(",")}]`);
    }
  };
  for (const port of programPorts(program).values()) check(port.name, port.type);
  for (const { graph } of program.stages) {
    for (const output of graph.outputs) {
      const type = graph.nodes[output.node]!.type;
      if (type.kind === "tensor") check(output.name, type);
    }
  }
}

/** The input data of a port of role `input`, checked. */
export function inputData(inputs: RunInputs, port: ProgramPort): ArrayLike<number> {
  const data = Object.hasOwn(inputs, port.name) ? inputs[port.name] : undefined;
  const expected = `${port.type.dtype}[${port.type.shape.join(",")}], ${sizeOf(port.type.shape)} numbers`;
  if (data === undefined) {
    throw new WebpeftError("DATA-INPUT-MISSING", {
      message: `the input ${port.name} is missing`,
      where: port.name,
      expected,
    });
  }
  if (data.length !== sizeOf(port.type.shape)) {
    throw new WebpeftError("DATA-INPUT-SIZE", {
      message: `the input ${port.name} has another length than the program was compiled for`,
      where: port.name,
      expected,
      got: `${data.length} numbers`,
    });
  }
  return data;
}

export interface UploadedPort {
  readonly port: ProgramPort;
  readonly tensor: PortTensor;
}

/**
 * Goes through the data of the weight and buffer ports that are not bound to storage, one after the other, size checked, so that an
 * executor holds one host copy at a time. Reports progress and stops at `signal`.
 */
export async function* portUploads(
  program: ExecutableProgram,
  data: ReadonlyMap<string, PortSource>,
  options: InstantiateOptions = {},
): AsyncGenerator<UploadedPort> {
  const wanted = [...programPorts(program).values()].filter(
    (port) => port.role !== "input" && sliceOf(program.storage, port.name) === undefined,
  );
  for (const [done, port] of wanted.entries()) {
    options.signal?.throwIfAborted();
    const tensor = await resolveSource(data, port.name);
    const expected = `${port.type.dtype}[${port.type.shape.join(",")}]`;
    if (tensor === undefined) {
      throw new WebpeftError("DATA-TENSOR-MISSING", {
        message: `the tensor ${port.name} is missing`,
        where: port.name,
        expected,
      });
    }
    const got = elementCount(tensor);
    if (got !== sizeOf(port.type.shape)) {
      throw new WebpeftError("DATA-TENSOR-SIZE", {
        message: `the tensor ${port.name} has another size than the program wants`,
        where: port.name,
        expected,
        got: `${got} numbers`,
      });
    }
    yield { port, tensor };
    options.onProgress?.(done + 1, wanted.length, port.name);
  }
}

/** First contents of storage that `data` holds, by slice. Parameters without data start as zeros. */
export async function initialStorage(
  program: ExecutableProgram,
  data: ReadonlyMap<string, PortSource>,
): Promise<{ name: string; tensor: PortTensor }[]> {
  const found: { name: string; tensor: PortTensor }[] = [];
  for (const name of data.keys()) {
    const slice = sliceOf(program.storage, name);
    if (slice === undefined) continue;
    const tensor = (await resolveSource(data, name))!;
    if (elementCount(tensor) !== slice.size) {
      throw new WebpeftError("DATA-TENSOR-SIZE", {
        message: `the tensor ${name} has another size than the program wants`,
        where: name,
        expected: `${slice.size} numbers`,
        got: `${elementCount(tensor)} numbers`,
      });
    }
    found.push({ name, tensor });
  }
  return found;
}

async function resolveSource(data: ReadonlyMap<string, PortSource>, name: string): Promise<PortTensor | undefined> {
  const source = data.get(name);
  return typeof source === "function" ? source() : source;
}

function elementCount(tensor: PortTensor): number {
  return "bytes" in tensor ? sizeOf(tensor.shape) : tensor.length;
}
