/**
 * The executor for processors: kernels printed as WebAssembly (`codegen/wasm`). A program is one module with one memory; a run calls the
 * functions of its dispatches one after the other.
 */
import { type Generated, generate, type Target, wasmTarget } from "../../../codegen/index.ts";
import type { Dispatch, PlannedValue } from "../../../codegen/plan.ts";
import { encodeModule, type LinkedProgram, link, scratchGlobal, type WasmCall } from "../../../codegen/wasm/index.ts";
import { sizeOf } from "../../../ir/types.ts";
import type { ExecutableProgram, StageName } from "../../../program/index.ts";
import {
  checkBindings,
  type Executor,
  type Instance,
  type InstantiateOptions,
  initialStorage,
  type KernelTime,
  type PortTensor,
  portUploads,
  programPorts,
  type RunInputs,
  sliceOf,
} from "../executor.ts";
import { isNeeded, joinPieces, Recipes } from "../recipes.ts";
import { deviceBytes, placedBytes, readWords } from "../words.ts";
import { aligned, createMemory, layoutMemory, type MemoryLayout, pagesOf } from "./memory.ts";

export interface WasmOptions {
  readonly target?: Target;
}

export function wasmExecutor({ target = wasmTarget }: WasmOptions = {}): Executor {
  return {
    name: "wasm",
    description: "WebAssembly on the processor",
    async instantiate(program, data, options = {}) {
      checkBindings(program);
      const generated = options.generated?.(target) ?? generate(program.stages, program.storage, target);
      options.signal?.throwIfAborted();
      const instance = new WasmInstance(program, generated, options.onKernels);
      for await (const { port, tensor } of portUploads(program, data, options)) instance.upload(port.name, tensor);
      for (const { name, tensor } of await initialStorage(program, data))
        instance.write(name, new Float32Array(deviceBytes(tensor, "f32", name).buffer));
      return instance;
    },
  };
}

type Kernel = (places: number, from: number, to: number) => void;

/** A call that is ready: the function, where its places stand, how many workgroups. */
interface ReadyCall {
  readonly run: Kernel;
  readonly places: number;
  readonly blocks: number;
}

class WasmInstance implements Instance {
  readonly deviceBytes: number;
  private readonly layout: MemoryLayout;
  private readonly memory: WebAssembly.Memory;
  private readonly calls: ReadonlyMap<Dispatch, readonly ReadyCall[]>;
  private readonly recipes: Recipes;
  private readonly ports;
  private disposed = false;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly generated: Generated,
    private readonly onKernels: InstantiateOptions["onKernels"],
  ) {
    const { plan } = generated;
    this.ports = programPorts(program);
    this.recipes = new Recipes(program, plan);
    this.layout = layoutMemory(plan);
    const { addresses, end } = this.layout;
    const map = { bytes: end, addressOf: (buffer: string) => addresses.get(buffer)! };
    const linked = link(generated, { map, fuses: false });
    const words = [...linked.calls.values()].flat().reduce((sum, { places }) => sum + places.length, 0);
    const scratch = aligned(end + 4 * words);
    const bytes = scratch + linked.scratchBytes + 64;
    this.memory = createMemory(bytes, false);
    this.deviceBytes = this.layout.touched + bytes - end;
    this.calls = this.ready(linked, end, scratch, pagesOf(bytes));
  }

  /** Compiles the module, writes the places of all calls from `at` on. */
  private ready(
    linked: LinkedProgram,
    at: number,
    scratch: number,
    pages: number,
  ): Map<Dispatch, readonly ReadyCall[]> {
    const bytes = encodeModule({ ...linked.module, memory: { pages, most: pages, shared: false } });
    const global = new WebAssembly.Global({ value: "i32", mutable: false }, scratch);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.memory, [scratchGlobal]: global },
    });
    const words = new Uint32Array(this.memory.buffer);
    let next = at;
    const readyCall = ({ name, places, blocks }: WasmCall): ReadyCall => {
      words.set(places, next / 4);
      const call = { run: exports[name] as Kernel, places: next, blocks };
      next += 4 * places.length;
      return call;
    };
    return new Map([...linked.calls].map(([dispatch, calls]) => [dispatch, calls.map(readyCall)]));
  }

  private checkAlive(): void {
    if (this.disposed) throw new Error("the instance is disposed");
  }

  private bytesAt(buffer: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const memory = this.memory.buffer as ArrayBuffer;
    return new Uint8Array(memory, this.layout.addresses.get(buffer)! + offset, length);
  }

  /** Writes the data of a weight or buffer port, in every order in which kernels read it. */
  upload(name: string, tensor: PortTensor): void {
    const count = this.ports.get(name)!.type.shape[0] ?? 1;
    for (const place of this.generated.plan.weights) {
      if (place.name !== name) continue;
      const bytes = placedBytes(tensor, place, count);
      this.bytesAt(place.buffer, place.offset, bytes.length).set(bytes);
    }
  }

  private slice(name: string): Float32Array<ArrayBuffer> {
    this.checkAlive();
    const slice = sliceOf(this.program.storage, name);
    if (slice === undefined) throw new Error(`the program has no storage called ${name}`);
    const { buffer, byteOffset } = this.bytesAt(slice.buffer, 4 * slice.offset, 4 * slice.size);
    return new Float32Array(buffer, byteOffset, slice.size);
  }

  write(name: string, data: Float32Array): void {
    const slice = this.slice(name);
    if (slice.length !== data.length) throw new Error(`${name} holds ${slice.length} numbers, not ${data.length}`);
    slice.set(data);
  }

  async read(name: string): Promise<Float32Array> {
    return this.slice(name).slice();
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    this.checkAlive();
    const recipe = this.recipes.of(stages, want);
    const words = this.recipes.inputWords(recipe, inputs);
    const times: KernelTime[] = [];
    if (words.length > 0) this.bytesAt("inputs", 0, words.length).set(words);
    for (const { name, dispatches, copies } of recipe.stages) {
      for (const dispatch of dispatches) {
        if (isNeeded(dispatch, recipe.want)) this.dispatch(name, dispatch, times);
      }
      for (const { from, to, size } of copies)
        this.bytesAt(to.buffer, to.offset, size).set(this.bytesAt(from.buffer, from.offset, size));
    }
    this.onKernels?.(times);
    return joinPieces(recipe.results, (value) => this.numbers(value));
  }

  private dispatch(stage: string, dispatch: Dispatch, times: KernelTime[]): void {
    const begin = this.onKernels === undefined ? 0 : performance.now();
    for (const { run, places, blocks } of this.calls.get(dispatch)!) run(places, 0, blocks);
    if (this.onKernels === undefined) return;
    const kernel = this.generated.kernels.find(({ name }) => name === dispatch.kernel)!;
    times.push({ stage, kernel, dispatch, nanoseconds: 1e6 * (performance.now() - begin) });
  }

  private numbers({ buffer, offset, shape, dtype }: PlannedValue): Float32Array {
    const size = sizeOf(shape);
    const bytes = this.bytesAt(buffer, offset, 4 * size);
    return readWords(bytes.buffer, bytes.byteOffset, size, dtype);
  }

  dispose(): void {
    this.disposed = true;
  }
}
