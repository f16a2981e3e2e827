/**
 * The WebGPU executor: generates kernels and a plan for a program (or is given them), uploads weights, and replays the plan. A run is one
 * submit: inputs are written, the dispatches of the stages encoded into one pass, and what is wanted copied to one staging buffer.
 */
import {
  buffersMade,
  type Generated,
  generate,
  placeSizes,
  type Target,
  type TouchedTensor,
  targetOf,
  useOfBuffers,
} from "../../../codegen/index.ts";
import { remembered } from "../../../ir/remember.ts";
import { sizeOf } from "../../../ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../../program/index.ts";
import { addedUse, type MemoryUse } from "../../../program/memory.ts";
import { bufferUsage, type OpenDevice } from "../../device/index.ts";
import {
  checkBindings,
  type Executor,
  type Instance,
  type InstantiateOptions,
  initialStorage,
  type PortTensor,
  portUploads,
  programPorts,
  type RunInputs,
  type TracedStep,
} from "../executor.ts";
import { tablesOf } from "../memory.ts";
import { plannedResult, type Recipe, Recipes } from "../recipes.ts";
import { touchedBytes, tracedStep } from "../traced.ts";
import { Turns } from "../turns.ts";
import { floatsOf, placedBytes, readWords } from "../words.ts";
import { runApart, timesApart } from "./apart.ts";
import { dispatchLabels } from "./labels.ts";
import { type PipelineCache, pipelinesOf } from "./pipelines.ts";
import { Reader } from "./reader.ts";
import { Recorder } from "./recorder.ts";
import { readResults, type StagedResults, stageResults } from "./results.ts";
import { forecastStaging } from "./staging.ts";
import { hasTimestamps, type KernelListener, type Timings } from "./timings.ts";

export interface WebgpuOptions {
  /** Made from the device's facts unless given. */
  readonly target?: Target;
}

export interface WebgpuExecutor extends Executor {
  readonly pipelines: PipelineCache;
}

/**
 * An executor on an open device, which it does not own. Pipelines are shared by everything on the device and made when a run first needs
 * them: a software driver takes long for them.
 */
export function webgpuExecutor(open: OpenDevice, options: WebgpuOptions = {}): WebgpuExecutor {
  const pipelines = pipelinesOf(open);
  const target = options.target ?? targetOf(open.target);
  const forecast = new WeakMap<ExecutableProgram, Generated>();
  const generated = (program: ExecutableProgram, own: InstantiateOptions): Generated =>
    own.generated?.(target) ?? generate(program.stages, program.storage, target);
  return {
    name: "webgpu",
    description: `WebGPU on ${open.adapter.description || open.adapter.kind}${open.adapter.software ? " (software)" : ""}`,
    target,
    clock: hasTimestamps(open) ? "device" : "outside",
    testsItself: !open.adapter.software,
    pipelines,
    async forecast(program, reads, own = {}) {
      checkBindings(program);
      const { plan } = remembered(forecast, program, () => generated(program, own));
      const use = useOfBuffers({ plan, tables: tablesOf(program) }, buffersMade(plan, new Set(reads.flat())));
      const resultsOf = (name: string) => plannedResult(program.storage, plan.stages, name);
      const staging = forecastStaging(reads, resultsOf, open.device.limits.maxBufferSize);
      return addedUse(use, { kernels: placeSizes(plan).bytes, staging });
    },
    async instantiate(program, data, instantiateOptions = {}) {
      checkBindings(program);
      const made = forecast.get(program) ?? generated(program, instantiateOptions);
      forecast.delete(program);
      instantiateOptions.signal?.throwIfAborted();
      const instance = await open.scoped(
        "buffers of the plan",
        () => new WebgpuInstance(open, program, made, pipelines, instantiateOptions),
      );
      try {
        for await (const { port, tensor } of portUploads(program, data, instantiateOptions))
          instance.upload(port.name, tensor);
        for (const { name, tensor } of await initialStorage(program, data)) instance.write(name, floatsOf(tensor));
      } catch (error) {
        instance.dispose();
        throw error;
      }
      return instance;
    },
  };
}

interface Submitted {
  readonly results: Promise<readonly ArrayBuffer[]>;
}

class WebgpuInstance implements Instance {
  private readonly buffers = new Map<string, GPUBuffer>();
  private readonly recorder: Recorder;
  private readonly recipes: Recipes;
  private readonly staged = new WeakMap<Recipe, StagedResults>();
  private readonly reader: Reader;
  private readonly ports;
  private readonly turns = new Turns();
  private disposed = false;

  constructor(
    private readonly open: OpenDevice,
    private readonly program: ExecutableProgram,
    private readonly generated: Generated,
    pipelines: PipelineCache,
    private readonly measuring: Pick<InstantiateOptions, "onKernels" | "measures">,
  ) {
    this.ports = programPorts(program);
    for (const name of buffersMade(generated.plan, new Set()).keys()) this.createBuffer(name);
    this.reader = new Reader(open);
    this.recipes = new Recipes(program, generated.plan);
    this.recorder = new Recorder({
      open,
      plan: generated.plan,
      kernels: generated.kernels,
      pipelines,
      labels: dispatchLabels(program, generated),
      bufferOf: (name) => this.bufferOf(name),
      locate: (name, offset) => this.locate(name, offset),
    });
  }

  get memory(): MemoryUse {
    const { plan } = this.generated;
    const made = new Map([...this.buffers].map(([name, { size }]) => [name, size]));
    const use = useOfBuffers({ plan, tables: tablesOf(this.program) }, made);
    return addedUse(use, { kernels: this.recorder.sizesBytes, staging: this.reader.bytes });
  }

  private createBuffer(name: string): void {
    const { bytes } = this.generated.plan.buffers.find((b) => b.name === name)!;
    const usage = bufferUsage.STORAGE | bufferUsage.COPY_SRC | bufferUsage.COPY_DST;
    this.buffers.set(name, this.open.device.createBuffer({ label: name, size: bytes, usage }));
  }

  /** A buffer of the plan; those of large results are made when somebody wants them: training never asks for logits. */
  private bufferOf(name: string): GPUBuffer {
    if (!this.buffers.has(name)) this.createBuffer(name);
    return this.buffers.get(name)!;
  }

  private checkAlive(): void {
    if (this.disposed) throw new Error("the instance is disposed");
    const failure = this.open.failure();
    if (failure !== undefined) throw failure;
  }

  /** The device's buffer that holds a place of one of the plan's. */
  private locate(name: string, offset: number): { buffer: GPUBuffer; offset: number } {
    const within = this.generated.plan.buffers.find((b) => b.name === name)?.within;
    return { buffer: this.bufferOf(within?.buffer ?? name), offset: offset + (within?.offset ?? 0) };
  }

  private writeAt(name: string, at: number, bytes: Uint8Array<ArrayBuffer>): void {
    const { buffer, offset } = this.locate(name, at);
    this.open.device.queue.writeBuffer(buffer, offset, bytes);
  }

  /** Writes the data of a weight or buffer port, in every order in which kernels read it. */
  upload(name: string, tensor: PortTensor): void {
    const count = this.ports.get(name)!.type.shape[0] ?? 1;
    for (const place of this.generated.plan.weights)
      if (place.name === name) this.writeAt(place.buffer, place.offset, placedBytes(tensor, place, count));
  }

  private slice(name: string): { buffer: GPUBuffer; offset: number; size: number } {
    const slice = sliceOf(this.program.storage, name);
    if (slice === undefined) throw new Error(`the program has no storage called ${name}`);
    return { ...this.locate(slice.buffer, 4 * slice.offset), size: slice.size };
  }

  write(name: string, data: Float32Array): void {
    this.checkAlive();
    const { buffer, offset, size } = this.slice(name);
    if (size !== data.length) throw new Error(`${name} holds ${size} numbers, not ${data.length}`);
    const copy = Float32Array.from(data);
    void this.turns.take(undefined, () => {
      if (!this.disposed) this.open.device.queue.writeBuffer(buffer, offset, copy);
    });
  }

  async read(name: string): Promise<Float32Array> {
    this.checkAlive();
    const { buffer, offset, size } = this.slice(name);
    const bytes = await this.turns.take(undefined, () => {
      this.checkAlive();
      return { mapped: this.reader.range({ buffer, offset }, 4 * size) };
    });
    return readWords(await bytes.mapped, 0, size, "f32");
  }

  async run(
    stages: readonly StageName[],
    inputs: RunInputs,
    want: readonly string[] = [],
  ): Promise<Record<string, Float32Array>> {
    this.checkAlive();
    const recipe = this.recipes.of(stages, want);
    const words = this.recipes.inputWords(recipe, inputs);
    const ready = this.recorder.prepare(recipe.stages, recipe.want);
    const submitted = await this.turns.take(ready, () => this.submit(recipe, words));
    return readResults(this.stagedOf(recipe).results, await submitted.results);
  }

  /** One submit. The results are wrapped, so that the next call need not wait until they are here. */
  private submit(recipe: Recipe, words: Uint8Array<ArrayBuffer>): Submitted | Promise<Submitted> {
    this.checkAlive();
    if (words.length > 0) this.writeAt("inputs", 0, words);
    const { onKernels, measures = () => "clocked" } = this.measuring;
    const asked = onKernels === undefined ? "none" : measures();
    if (asked === "all" && !hasTimestamps(this.open)) return this.submitApart(recipe, onKernels!);
    const encoder = this.open.device.createCommandEncoder();
    const timings = asked === "none" ? undefined : this.recorder.timings(onKernels);
    this.recorder.record(encoder, recipe.stages, recipe.want, timings);
    timings?.resolve(encoder);
    return this.finish(recipe, encoder, timings);
  }

  async trace(
    stages: readonly StageName[],
    inputs: RunInputs,
    want: readonly string[],
    visit: (step: TracedStep) => Promise<boolean>,
  ): Promise<void> {
    this.checkAlive();
    const recipe = this.recipes.of(stages, want);
    const words = this.recipes.inputWords(recipe, inputs);
    await this.turns.take(this.recorder.prepare(recipe.stages, recipe.want), async () => {
      this.checkAlive();
      if (words.length > 0) this.writeAt("inputs", 0, words);
      const read = async (tensor: TouchedTensor) =>
        new Uint8Array(await this.reader.range(this.locate(tensor.buffer, tensor.offset), touchedBytes(tensor)));
      const steps = this.recorder.apart(recipe.stages, recipe.want);
      await runApart(this.open, steps, ({ stage, ran }) => visit(tracedStep(this.generated, stage, ran, read)));
    });
  }

  private async submitApart(recipe: Recipe, tell: KernelListener): Promise<Submitted> {
    const steps = this.recorder.apart(recipe.stages, recipe.want);
    tell(await timesApart(this.open, steps, this.generated.kernels));
    return this.finish(recipe, this.open.device.createCommandEncoder());
  }

  private finish(recipe: Recipe, encoder: GPUCommandEncoder, timings?: Timings): Submitted {
    const staged = this.stagedOf(recipe);
    const stagings = staged.stagings.map((bytes) => this.reader.take(bytes));
    for (const { staging, at, shape, ...result } of staged.results) {
      const { buffer, offset } = this.locate(result.buffer, result.offset);
      encoder.copyBufferToBuffer(buffer, offset, stagings[staging]!, at, 4 * sizeOf(shape));
    }
    this.open.device.queue.submit([encoder.finish()]);
    const results =
      stagings.length > 0
        ? Promise.all(stagings.map((staging, i) => this.reader.read(staging, staged.stagings[i]!)))
        : this.open.wait(this.open.device.queue.onSubmittedWorkDone()).then(() => []);
    return { results: timings?.tell(results) ?? results };
  }

  private stagedOf(recipe: Recipe): StagedResults {
    const known = this.staged.get(recipe);
    if (known !== undefined) return known;
    const staged = stageResults(recipe.results, this.open.device.limits.maxBufferSize);
    this.staged.set(recipe, staged);
    return staged;
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    for (const buffer of this.buffers.values()) buffer.destroy();
    this.reader.dispose();
    this.recorder.dispose();
    this.buffers.clear();
  }
}
