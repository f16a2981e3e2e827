/**
 * The executor for processors: kernels printed as WebAssembly (`codegen/wasm`). A program is one module with one memory; a run is a script of
 * calls, which all threads go through together.
 */
import { type Generated, generate, type Target } from "../../../codegen/index.ts";
import type { PlannedValue, TouchedTensor } from "../../../codegen/plan.ts";
import { type MemoryMap, mapMemory, relaxedSimd, useOfMemory } from "../../../codegen/wasm/index.ts";
import { remembered } from "../../../ir/remember.ts";
import { sizeOf } from "../../../ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../../program/index.ts";
import type { MemoryUse } from "../../../program/memory.ts";
import { type Checks, checkOptions, count, record, whole } from "../../options.ts";
import { eventLoop } from "../event-loop.ts";
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
  type TracedStep,
} from "../executor.ts";
import { tablesOf } from "../memory.ts";
import { joinPieces, type Recipe, Recipes } from "../recipes.ts";
import { touchedBytes, tracedStep } from "../traced.ts";
import { Turns } from "../turns.ts";
import { floatsOf, placedBytes, readWords } from "../words.ts";
import { arithmeticOf, wasmTargetHere } from "./features.ts";
import { type LoadedProgram, loadProgram } from "./load.ts";
import { makeRun, type Run } from "./run.ts";
import { controlWords, scriptOf } from "./script.ts";
import { isPage, threadsHere } from "./workers.ts";

export interface WasmOptions {
  readonly target?: Target;
  /** Threads that run it, the calling one included; as many as the machine has unless given, and one where memory cannot be shared. */
  readonly threads?: number;
  /** Operations and bytes of a dispatch from which it is cut over threads, instead of those that were found to be worth it. */
  readonly cutsFrom?: number;
}

/** A program as it is before anything of it is loaded. */
interface MappedProgram {
  readonly generated: Generated;
  readonly map: MemoryMap;
}

const checks: Checks<WasmOptions> = { target: record, threads: count, cutsFrom: whole };

/** Throws `DEVICE-OPTION`. */
export function wasmExecutor(options: WasmOptions = {}): Executor {
  checkOptions(options, checks, "DEVICE-OPTION");
  const { target = wasmTargetHere(), threads, cutsFrom } = options;
  const needsThreads = (generated: Generated): boolean => cutsFrom !== undefined || isLarge(generated);
  const forecast = new WeakMap<ExecutableProgram, Promise<MappedProgram>>();
  const mapped = async (program: ExecutableProgram, options: InstantiateOptions): Promise<MappedProgram> => {
    checkBindings(program);
    const generated = options.generated?.(target) ?? generate(program.stages, program.storage, target);
    options.signal?.throwIfAborted();
    const team = needsThreads(generated) ? await threadsHere(threads) : 1;
    const fuses = target.features.includes(relaxedSimd);
    return { generated, map: mapMemory(generated, { threads: team, controlBytes: 4 * controlWords, fuses }) };
  };
  return {
    name: "wasm",
    description: "WebAssembly on the processor",
    target,
    get arithmetic() {
      return arithmeticOf(target);
    },
    clock: "processor",
    testsItself: true,
    async forecast(program, reads, options = {}) {
      const made = remembered(forecast, program, () => mapped(program, options));
      // What was stopped is made anew.
      made.catch(() => forecast.delete(program));
      const { generated, map } = await made;
      return useOfMemory(map, { plan: generated.plan, tables: tablesOf(program) }, new Set(reads.flat()));
    },
    async instantiate(program, data, options = {}) {
      const { generated, map } = await (forecast.get(program) ?? mapped(program, options));
      forecast.delete(program);
      const instance = new WasmInstance(
        program,
        generated,
        { places: map.places, bytes: map.bytes },
        await loadProgram(map, map.threads === 1 && isPage() && needsThreads(generated)),
        options,
        cutsFrom ?? worthCutting,
      );
      try {
        for await (const { port, tensor } of portUploads(program, data, options))
          await instance.upload(port.name, tensor);
        for (const { name, tensor } of await initialStorage(program, data)) instance.write(name, floatsOf(tensor));
      } catch (error) {
        instance.dispose();
        throw error;
      }
      return instance;
    },
  };
}

/** Operations of a run from which threads are started: below it is over before they are. */
const manyOperations = 5e6;
/** Operations and bytes of a dispatch from which it is cut: to meet costs some microseconds. */
const worthCutting = 1e6;

const isLarge = ({ plan }: Generated): boolean =>
  plan.stages.some(({ dispatches }) => dispatches.reduce((sum, { flops }) => sum + flops, 0) > manyOperations);

class WasmInstance implements Instance {
  private readonly recipes: Recipes;
  private readonly ports;
  private readonly runs = new Map<Recipe, Run>();
  private readonly turns = new Turns();
  /** Results that were wanted. */
  private readonly wanted = new Set<string>();
  private disposed = false;
  /** Why something was not written. */
  private lost: unknown;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly generated: Generated,
    private readonly map: Pick<MemoryMap, "places" | "bytes">,
    private readonly loaded: LoadedProgram,
    private readonly measuring: Pick<InstantiateOptions, "onKernels" | "measures">,
    private readonly cutsFrom: number,
  ) {
    this.ports = programPorts(program);
    this.recipes = new Recipes(program, generated.plan);
  }

  get memory(): MemoryUse {
    return useOfMemory(this.map, { plan: this.generated.plan, tables: tablesOf(this.program) }, this.wanted);
  }

  private checkAlive(): void {
    if (this.lost !== undefined) throw this.lost;
    if (this.disposed) throw new Error("the instance is disposed");
  }

  /** Writes the data of a weight or buffer port, in every order in which kernels read it. */
  async upload(name: string, tensor: PortTensor): Promise<void> {
    const count = this.ports.get(name)!.type.shape[0] ?? 1;
    for (const place of this.generated.plan.weights) {
      if (place.name !== name) continue;
      await this.loaded.write(this.addressOf(place), placedBytes(tensor, place, count));
    }
  }

  private addressOf({ buffer, offset }: Pick<PlannedValue, "buffer" | "offset">): number {
    return this.loaded.addressOf(buffer) + offset;
  }

  /** Where a slice of storage begins, and its numbers. */
  private slice(name: string): { readonly address: number; readonly size: number } {
    this.checkAlive();
    const slice = sliceOf(this.program.storage, name);
    if (slice === undefined) throw new Error(`the program has no storage called ${name}`);
    return { address: this.addressOf({ buffer: slice.buffer, offset: 4 * slice.offset }), size: slice.size };
  }

  write(name: string, data: Float32Array): void {
    const { address, size } = this.slice(name);
    if (size !== data.length) throw new Error(`${name} holds ${size} numbers, not ${data.length}`);
    const bytes = new Uint8Array(Float32Array.from(data).buffer);
    // What is not written is told by the next call.
    const written = this.turns.take(undefined, () => this.loaded.write(address, bytes));
    Promise.resolve(written).catch((error: unknown) => {
      this.lost ??= error;
    });
  }

  async read(name: string): Promise<Float32Array> {
    const { address, size } = this.slice(name);
    return this.turns.take(undefined, async () => {
      const { buffer, byteOffset } = await this.loaded.view(address, 4 * size);
      return readWords(buffer, byteOffset, size, "f32");
    });
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    this.checkAlive();
    const run = this.runOf(this.recipes.of(stages, want));
    const { memory } = this.loaded;
    if (memory !== undefined && this.turns.areFree) {
      this.recipes.writeInputs(run.recipe, inputs, memory.buffer, this.loaded.addressOf("inputs"));
      return this.turns.take(undefined, () => this.go(run));
    }
    const words = this.recipes.inputWords(run.recipe, inputs);
    return this.turns.take(undefined, () => this.go(run, words));
  }

  /** The next call has its turn when the results of this one are read. */
  private async go(run: Run, words?: Uint8Array): Promise<Record<string, Float32Array>> {
    this.checkAlive();
    if (words !== undefined) await this.writeInputs(words);
    const times: KernelTime[] = [];
    const { onKernels, measures } = this.measuring;
    const isMeasured = onKernels !== undefined && measures?.() !== "none";
    for (const { script, first } of run.pieces) {
      await eventLoop();
      this.checkAlive();
      await this.loaded.run(script, isMeasured ? this.teller(run, first, times) : undefined);
    }
    if (times.length > 0) onKernels!(times);
    const { results } = run.recipe;
    const views = await Promise.all(
      results.map((value) => this.loaded.view(this.addressOf(value), 4 * sizeOf(value.shape))),
    );
    return joinPieces(
      results.map((value, i) => ({ ...value, view: views[i]! })),
      ({ view, shape, dtype }) => readWords(view.buffer, view.byteOffset, sizeOf(shape), dtype),
    );
  }

  private async writeInputs(words: Uint8Array): Promise<void> {
    if (words.length > 0) await this.loaded.write(this.loaded.addressOf("inputs"), words);
  }

  async trace(
    stages: readonly StageName[],
    inputs: RunInputs,
    want: readonly string[],
    visit: (step: TracedStep) => Promise<boolean>,
  ): Promise<void> {
    this.checkAlive();
    const { recipe, entries, sources } = this.runOf(this.recipes.of(stages, want));
    const words = this.recipes.inputWords(recipe, inputs);
    const read = async (tensor: TouchedTensor) =>
      Uint8Array.from(await this.loaded.view(this.addressOf(tensor), touchedBytes(tensor)));
    await this.turns.take(undefined, async () => {
      this.checkAlive();
      await this.writeInputs(words);
      for (const [i, { stage, dispatch }] of sources.entries()) {
        await eventLoop();
        this.checkAlive();
        await this.loaded.run(scriptOf([entries[i]!]));
        // A dispatch may be several calls.
        if (dispatch === undefined || sources[i + 1]?.dispatch === dispatch) continue;
        const at = stage.dispatches.indexOf(dispatch);
        if (!(await visit(tracedStep(this.generated, stage, { dispatch, at }, read)))) return;
      }
    });
  }

  private runOf(recipe: Recipe): Run {
    for (const name of recipe.want) this.wanted.add(name);
    return remembered(this.runs, recipe, () =>
      makeRun(recipe, { ...this.loaded, addressOf: (place) => this.addressOf(place) }, this.cutsFrom),
    );
  }

  /** Collects what entries took, by dispatch. */
  private teller({ sources }: Run, first: number, times: KernelTime[]) {
    return (entry: number, milliseconds: number): void => {
      const { stage, dispatch } = sources[first + entry]!;
      if (dispatch === undefined) return;
      const before = times.at(-1);
      const nanoseconds = 1e6 * milliseconds;
      if (before?.dispatch === dispatch) {
        times[times.length - 1] = { ...before, nanoseconds: before.nanoseconds + nanoseconds };
        return;
      }
      const kernel = this.generated.kernels.find(({ name }) => name === dispatch.kernel)!;
      times.push({ stage: stage.name, kernel, dispatch, nanoseconds });
    };
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.loaded.dispose();
  }
}
