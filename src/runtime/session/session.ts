/**
 * A session: a program with its weights on a device. Training steps, evaluation, merging and saving work on its parameters; everything it
 * allocated is freed by `dispose`.
 */
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { CombineOptions } from "../../methods/combine/sources.ts";
import type { Methods } from "../../methods/registry.ts";
import type { CompiledProgram, StageName } from "../../program/index.ts";
import { bytesInUse, type MemoryUse } from "../../program/memory.ts";
import { copiedBatch, type SessionBatch } from "../data/batch.ts";
import type { BatchStream } from "../data/dataset.ts";
import type { Executor } from "../executors/executor.ts";
import { type AdapterFiles, encodeAdapter, saveAdapter } from "../files/adapter.ts";
import { copiedSource, type FolderSource } from "../files/folder.ts";
import type { Model } from "../files/model.ts";
import type { OutputOptions } from "../files/output.ts";
import type { PageFolder } from "../files/page-folder.ts";
import type { HostTensor } from "../files/tensor.ts";
import { type ForwardResult, forward, type Prediction, predictive } from "../runs/forward.ts";
import { hasStage, type RunContext } from "../runs/inputs.ts";
import {
  copiedStep,
  gradientsOf,
  optimizerStep,
  type PlannedStep,
  type StepOptions,
  type StepResult,
} from "../runs/step.ts";
import { type TrainEvent, train } from "../training/loop.ts";
import { copiedState, type OptimizerState, restoreState, stateOf } from "../training/optimizer-state.ts";
import { requireAllLogits } from "../values/codecs/top-k.ts";
import { mergedModel } from "../values/merge.ts";
import { copiedMerge, type MergeOptions, withMergeOptions } from "../values/merge-options.ts";
import { requireTrainable } from "../values/prompt-encoder.ts";
import { currentValues, parametersOf, type Report, readReport } from "../values/running.ts";
import { adapterContent, adapterFolder } from "../values/saved.ts";
import type { AdapterChoice, AdapterEntry, SessionAdapters } from "./adapters.ts";
import {
  checkCombine,
  checkCombined,
  checkForward,
  checkOutput,
  checkTrain,
  type ForwardOptions,
  type SessionTrainOptions,
} from "./options.ts";
import { mixedForward } from "./rows.ts";
import { addWeighted } from "./weighted.ts";

export type { SessionBatch } from "../data/batch.ts";
export type { ForwardResult } from "../runs/forward.ts";
export type { StepOptions, StepResult } from "../runs/step.ts";
export type { OptimizerState } from "../training/optimizer-state.ts";
export type { ForwardOptions, SessionTrainOptions } from "./options.ts";

export interface SessionParts {
  readonly adapters: SessionAdapters;
  readonly model: Model;
  readonly methods: Methods;
  readonly executor: Executor;
  /** Runs the merge stage; may be another executor than the one that trains. */
  readonly mergeExecutor: Executor;
  readonly seed: number;
  /** Frees the device, when the session owns it. */
  readonly release: () => void;
}

export class Session {
  constructor(private readonly parts: SessionParts) {}

  /** The program of the adapter in use. */
  get program(): CompiledProgram {
    return this.parts.adapters.active.program;
  }

  /** The base model. */
  get model(): Model {
    return this.parts.model;
  }

  /** Reads another adapter and gives it a name; the first one is `default`. Throws what reading throws, and `SESSION-ADAPTER-NAME`. */
  async load(name: string, adapter: FolderSource | AdapterFiles): Promise<void> {
    return this.parts.adapters.load(name, copiedSource(adapter));
  }

  /**
   * Switches to an adapter, to several together, or with null to the base model alone; each keeps its parameters, moments and steps. Several
   * run and merge together, and train one at a time. Calls made later wait for the switch. Throws `SESSION-ADAPTER-UNKNOWN`.
   */
  use(choice: AdapterChoice): Promise<void> {
    return this.parts.adapters.use(choice);
  }

  /** Forgets an adapter; one in use makes room for the next. Throws `SESSION-ADAPTER-UNKNOWN`. */
  delete(name: string): Promise<void> {
    return this.parts.adapters.delete(name);
  }

  /**
   * Makes a new adapter of others, as PEFT's `add_weighted_adapter` does: LoRAs by a `CombineOptions.combination`, IA3s by adding up their
   * vectors, those of a method of one's own as the `combine` of its record does. It is loaded under `name` and not in use. Throws `SESSION-COMBINE`, `SESSION-COMBINE-OPTION` and what `load` throws.
   */
  async addWeighted(
    names: readonly string[],
    weights: readonly number[],
    name: string,
    options: CombineOptions = {},
  ): Promise<void> {
    checkCombine(options);
    checkCombined({ names, weights });
    return addWeighted(this.parts.adapters, this.parts.methods, [...names], [...weights], name, { ...options });
  }

  /** Names of the session's adapters. */
  get adapterNames(): readonly string[] {
    return this.parts.adapters.names();
  }

  get executorName(): string {
    return this.parts.executor.name;
  }

  /** What decides the last bits of its numbers beside the executor's name; a run that goes on under another one is another run. */
  get arithmetic(): string | undefined {
    return this.parts.executor.arithmetic;
  }

  /** What runs it, in words: the adapter or the backend. */
  get device(): string {
    return this.parts.executor.description;
  }

  /** What the instance has of its device, by what it is for; undefined where the executor does not count. */
  get memory(): MemoryUse | undefined {
    return this.parts.adapters.active.instance.memory;
  }

  /** Bytes that the instance holds on its device, where the executor knows them. */
  get deviceBytes(): number | undefined {
    return this.memory && bytesInUse(this.memory);
  }

  /** Optimizer steps done. */
  get steps(): number {
    return this.parts.adapters.active.step;
  }

  private get context(): RunContext {
    const { model, seed, adapters } = this.parts;
    return { model, seed, programs: adapters.programs };
  }

  private requireStage({ program }: AdapterEntry, stage: StageName, action: string): void {
    if (hasStage(program, stage)) return;
    if (stage === "micro") requireTrainable(program.adapter);
    throw new WebpeftError("SESSION-MODE", {
      message: `a program compiled for ${program.mode} cannot ${action}`,
      got: `mode ${program.mode}`,
      help: 'compile with { mode: "train" }, and use an adapter',
    });
  }

  /**
   * One optimizer step on a batch, or on several micro-batches whose gradients are added: forward, backward, clipping, AdamW. Steps that are
   * begun at once run one after the other. Throws `SESSION-OPTION`, `DATA-*`, and `TRAIN-NOT-FINITE` with the first operation that made a NaN
   * or infinity; parameters and moments are then as before the step.
   */
  async step(batch: SessionBatch | readonly SessionBatch[], options: StepOptions = {}): Promise<StepResult> {
    const planned = copiedStep({ batch, options });
    return (await this.plannedStep(() => planned))!;
  }

  /** For training loops: `plan` is asked for the step when its turn comes and its number is known; nothing happens where it gives none. */
  plannedStep(plan: (step: number) => PlannedStep | undefined): Promise<StepResult | undefined> {
    return this.parts.adapters.run(async (entry) => {
      this.requireStage(entry, "micro", "train");
      requireAllLogits(entry.program.adapter);
      const planned = plan(entry.step);
      return planned === undefined ? undefined : optimizerStep(this.context, entry, planned);
    });
  }

  /**
   * Trains to `steps` optimizer steps in all, telling of each. Breaking out of the loop, or aborting `signal`, leaves a usable session.
   * `data` is a stream of batches (`openDataset`) or one batch, used at every step. Throws `SESSION-OPTION` at once.
   */
  train(data: BatchStream | SessionBatch, options: SessionTrainOptions): AsyncGenerator<TrainEvent> {
    checkTrain(options);
    const { steps, lr = 1e-3, schedule = "constant", warmup = 0, ...others } = options;
    return train(this, data, { ...others, schedule: { name: schedule, lr, warmup, steps } });
  }

  /**
   * Logits (see `ModelHead` for their shape) in evaluation mode, and the mean loss when there are labels. With `adapters` every row has an
   * adapter of its own, by name, or null for the base model; rows of one adapter run together. Throws `SESSION-ADAPTER-UNKNOWN`, `RESULT-NOT-FINITE`.
   */
  async forward(batch: SessionBatch, options: ForwardOptions = {}): Promise<ForwardResult> {
    checkForward(options);
    const copy = copiedBatch(batch);
    const { adapters } = this.parts;
    const run = async (entry: AdapterEntry, given: SessionBatch): Promise<ForwardResult> => {
      this.requireStage(entry, "forward", "run forward");
      return forward(this.context, entry, given);
    };
    if (options.adapters !== undefined) return mixedForward(adapters, copy, [...options.adapters], run);
    return adapters.run((entry) => run(entry, copy));
  }

  /** Mean and standard deviation of the logits over `count` draws from the posterior. Throws `SESSION-MODE` where there is none. */
  async predictive(batch: SessionBatch, count: number): Promise<Prediction> {
    const copy = copiedBatch(batch);
    return this.parts.adapters.run(async (entry) => {
      this.requireStage(entry, "predict", "draw predictions from a posterior");
      return predictive(this.context, entry, copy, count);
    });
  }

  /** Gradients of the mean loss by checkpoint key; parameters are left as they are. */
  async gradients(batch: SessionBatch): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
    const copy = copiedBatch(batch);
    return this.parts.adapters.run(async (entry) => {
      this.requireStage(entry, "micro", "compute gradients");
      return gradientsOf(this.context, entry, copy);
    });
  }

  /**
   * What the last forward pass or step reported under a name of `program.adapter.reports`: X-LoRA's `scalings` [samples, tokens, layers,
   * experts]. Throws `SESSION-REPORT` for a name that nothing is reported under.
   */
  report(name: string): Promise<Report> {
    return this.parts.adapters.run((entry) => readReport(entry, name));
  }

  /** The trained tensors as they are now, by checkpoint key. */
  parameters(): Promise<Map<string, Float32Array>> {
    return this.parts.adapters.run(parametersOf);
  }

  /** The adapter's tensors as its files hold them. */
  adapterTensors(): Promise<ReadonlyMap<string, HostTensor>> {
    return this.parts.adapters
      .run(adapterContent)
      .then(({ tensors, encoder = [] }) => new Map([...tensors, ...encoder]));
  }

  /**
   * The base model with the adapter in use merged in, or with those of `choice`; its tensors are computed when they are read. `sink` is warned
   * of ties that it breaks. `fixed`: the one value of what the adapter reads of a batch, such as `{ task: 1 }`. Throws `MERGE-OPTION`.
   */
  async merge(sink = new DiagnosticSink(), fixed: MergeOptions = {}, choice?: AdapterChoice): Promise<Model> {
    const { adapters, model, mergeExecutor } = this.parts;
    const options = copiedMerge(sink, fixed);
    const work = async (entry: AdapterEntry): Promise<Model> => {
      const values = withMergeOptions(entry.program, await currentValues(entry), options, adapters.programs);
      return mergedModel(entry.program, model, mergeExecutor, values, sink);
    };
    return choice === undefined ? adapters.run(work) : (await adapters.visit([choice], work))[0]!;
  }

  /** Everything that a run needs to go on bit for bit, beside its data. Throws `SESSION-MODE` for what does not train. */
  optimizerState(): Promise<OptimizerState> {
    return this.parts.adapters.run(stateOf);
  }

  /** Goes on from a state of the same program. Throws `SESSION-STATE` for another one's, and for numbers that training never makes. */
  async restore(state: OptimizerState): Promise<void> {
    const copy = copiedState(state);
    return this.parts.adapters.run((entry) => restoreState(entry, copy));
  }

  /** Writes the adapter's files, as PEFT does, into a folder by its path (Node) or handle (pages). Notes `METHOD-FILE` of the program tell where PEFT cannot read them. */
  async save(folder: string | PageFolder, options: OutputOptions = {}): Promise<void> {
    checkOutput(options);
    await saveAdapter(folder, await this.parts.adapters.run(adapterFolder), options);
  }

  /** The adapter's files as bytes by name, for pages. */
  async files(): Promise<Map<string, Uint8Array>> {
    return encodeAdapter(await this.parts.adapters.run(adapterFolder));
  }

  /** Frees everything. Calls that wait, the one under way and all later ones fail with `SESSION-DISPOSED`; what was merged stays usable. */
  dispose(): void {
    if (this.parts.adapters.isDisposed) return;
    this.parts.adapters.dispose();
    this.parts.release();
  }
}
