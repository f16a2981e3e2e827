/**
 * A session: a program with its weights on a device. Training steps, evaluation, merging and saving work on its parameters; everything it
 * allocated is freed by `dispose`.
 */
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { countLabels } from "../models/head.ts";
import { biasCorrections, statusFields } from "../passes/optimizer.ts";
import type { CompiledProgram, StageName } from "../program.ts";
import { batchInputs, type SessionBatch } from "./batch.ts";
import type { BatchStream } from "./data/dataset.ts";
import type { Executor, Instance, RunInputs } from "./executor.ts";
import { type AdapterContent, encodeAdapter, saveAdapter } from "./files/adapter.ts";
import type { Model } from "./files/model.ts";
import type { OutputOptions } from "./files/output.ts";
import { type AdapterValues, savedTensors } from "./initial.ts";
import { mergedModel } from "./merge.ts";
import { firstNonFinite } from "./non-finite.ts";
import type { HostTensor } from "./tensor.ts";
import { requireAllLogits } from "./top-k.ts";
import { type TrainEvent, type TrainOptions, train } from "./training/loop.ts";
import type { ScheduleName } from "./training/schedule.ts";

export type { SessionBatch } from "./batch.ts";

export interface StepOptions {
  readonly lr?: number;
  readonly weightDecay?: number;
  /** Gradients are scaled down to this global norm; 0 switches clipping off. */
  readonly maxNorm?: number;
}

export interface StepResult {
  readonly step: number;
  readonly loss: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Labels that counted. */
  readonly labels: number;
}

export interface OptimizerState {
  readonly step: number;
  readonly params: Float32Array;
  readonly moment1: Float32Array;
  readonly moment2: Float32Array;
}

export interface SessionParts {
  readonly program: CompiledProgram;
  readonly model: Model;
  readonly executor: Executor;
  readonly instance: Instance;
  /** Runs the merge stage; may be another executor than the one that trains. */
  readonly mergeExecutor: () => Promise<Executor>;
  readonly values: AdapterValues;
  readonly seed: number;
  /** Frees the device, when the session owns it. */
  readonly release: () => void;
}

export interface SessionTrainOptions extends Omit<TrainOptions, "schedule"> {
  readonly steps: number;
  /** Peak learning rate; 1e-3 unless given. */
  readonly lr?: number;
  readonly schedule?: ScheduleName;
  readonly warmup?: number;
}

export class Session {
  private stepNumber = 0;
  private disposed = false;

  constructor(private readonly parts: SessionParts) {}

  get program(): CompiledProgram {
    return this.parts.program;
  }

  get executorName(): string {
    return this.parts.executor.name;
  }

  /** What runs it, in words: the adapter or the backend. */
  get device(): string {
    return this.parts.executor.description;
  }

  /** Bytes that the instance holds on its device, where the executor knows them. */
  get deviceBytes(): number | undefined {
    return this.parts.instance.deviceBytes;
  }

  /** Optimizer steps done. */
  get steps(): number {
    return this.stepNumber;
  }

  private has(stage: StageName): boolean {
    return this.program.stages.some((s) => s.name === stage);
  }

  private requireStage(stage: StageName, action: string): void {
    if (this.disposed)
      throw new WebpeftError("SESSION-DISPOSED", { message: `the session is disposed and cannot ${action}` });
    if (this.has(stage)) return;
    throw new WebpeftError("SESSION-MODE", {
      message: `a program compiled for ${this.program.mode} cannot ${action}`,
      got: `mode ${this.program.mode}`,
      help: 'compile with { mode: "train" }',
    });
  }

  private counted({ labels = [] }: SessionBatch): number {
    return countLabels(labels, this.program.length, this.program.model.defaults.head);
  }

  /** Number of labels that count; throws `DATA-LABELS-MASKED` when none does. */
  private requireLabels(batches: readonly SessionBatch[]): number {
    const counted = batches.reduce((sum, batch) => sum + this.counted(batch), 0);
    if (counted > 0) return counted;
    throw new WebpeftError("DATA-LABELS-MASKED", {
      message: "no label of the batch counts",
      where: "labels",
      expected: "a label that is not -100; of a causal model behind the first token",
    });
  }

  /** `lossShare`: the part of what sites add to the loss that falls to this micro-batch. */
  private scalars(sampleOffset: number, labelScale: number, lossShare = 1): Record<string, ArrayLike<number>> {
    return {
      seed: [this.parts.seed >>> 0],
      step: [this.stepNumber],
      sample_offset: [sampleOffset],
      label_scale: [labelScale],
      loss_share: [lossShare],
    };
  }

  /**
   * One optimizer step on a batch, or on several micro-batches whose gradients are added: forward, backward, clipping, AdamW. Throws
   * `TRAIN-NOT-FINITE` with the first operation that made a NaN or infinity; the parameters are then as before the step.
   */
  async step(batch: SessionBatch | readonly SessionBatch[], options: StepOptions = {}): Promise<StepResult> {
    this.requireStage("micro", "train");
    requireAllLogits(this.program.adapter);
    const batches = Array.isArray(batch) ? (batch as readonly SessionBatch[]) : [batch as SessionBatch];
    const counted = this.requireLabels(batches);
    const runs = batches.map((b, i) => ({
      ...batchInputs(this.program, b),
      ...this.scalars(i * this.program.batch, 1 / counted, this.counted(b) / counted),
    }));
    const status = this.has("accumulate") ? await this.accumulated(runs, options) : await this.single(runs, options);
    if (status[statusFields.finite] !== 1) throw await firstNonFinite(this.parts, runs, this.stepNumber);
    this.stepNumber++;
    return {
      step: this.stepNumber - 1,
      loss: status[statusFields.loss]!,
      gradNorm: status[statusFields.gradNorm]!,
      labels: counted,
    };
  }

  private updateScalars(options: StepOptions): Record<string, ArrayLike<number>> {
    const { bias1, bias2 } = biasCorrections(this.stepNumber);
    const { lr = 1e-3, weightDecay = 0, maxNorm = 0 } = options;
    return { lr: [lr], bias1: [bias1], bias2: [bias2], weight_decay: [weightDecay], max_norm: [maxNorm] };
  }

  private get projectStages(): StageName[] {
    return this.has("project") ? ["project"] : [];
  }

  private async single(runs: readonly RunInputs[], options: StepOptions): Promise<Float32Array> {
    if (runs.length !== 1) {
      throw new WebpeftError("SESSION-MODE", {
        message: "the program was not compiled for gradient accumulation",
        help: "compile with { accumulate: true }",
      });
    }
    const stages: StageName[] = [...this.projectStages, "micro", "update"];
    const { status } = await this.parts.instance.run(stages, { ...runs[0], ...this.updateScalars(options) }, [
      "status",
    ]);
    return status!;
  }

  private async accumulated(runs: readonly RunInputs[], options: StepOptions): Promise<Float32Array> {
    for (const [i, run] of runs.entries()) {
      const stages: StageName[] = i === 0 ? [...this.projectStages, "micro", "accumulate"] : ["micro", "accumulate"];
      await this.parts.instance.run(stages, { ...run, first: [i === 0 ? 1 : 0] });
    }
    const { status } = await this.parts.instance.run(["update"], this.updateScalars(options), ["status"]);
    return status!;
  }

  /**
   * Trains to `steps` optimizer steps in all, telling of each. Breaking out of the loop, or aborting `signal`, leaves a usable session.
   * `data` is a stream of batches (`openDataset`) or one batch, used at every step.
   */
  train(data: BatchStream | SessionBatch, options: SessionTrainOptions): AsyncGenerator<TrainEvent> {
    const { steps, lr = 1e-3, schedule = "constant", warmup = 0, ...others } = options;
    return train(this, data, { ...others, schedule: { name: schedule, lr, warmup, steps } });
  }

  /** Logits (see `ModelHead` for their shape) in evaluation mode, and the mean loss when there are labels. */
  async forward(batch: SessionBatch): Promise<{ logits: Float32Array; loss?: number }> {
    this.requireStage("forward", "run forward");
    const counted = this.counted(batch);
    const inputs = { ...batchInputs(this.program, batch), ...this.scalars(0, counted === 0 ? 0 : 1 / counted) };
    const results = await this.parts.instance.run(["forward"], inputs, ["logits", "loss"]);
    return counted === 0 ? { logits: results.logits! } : { logits: results.logits!, loss: results.loss![0]! };
  }

  /** Gradients of the mean loss by checkpoint key; parameters are left as they are. */
  async gradients(batch: SessionBatch): Promise<{ loss: number; gradients: Record<string, Float32Array> }> {
    this.requireStage("micro", "compute gradients");
    const counted = this.requireLabels([batch]);
    const inputs = { ...batchInputs(this.program, batch), ...this.scalars(0, 1 / counted) };
    const keys = this.program.adapter!.tensors.filter((tensor) => tensor.role === "param").map((tensor) => tensor.key);
    const before = this.has("project") ? await this.parts.instance.read("params") : undefined;
    const results = await this.parts.instance.run([...this.projectStages, "micro"], inputs, [
      "loss",
      ...keys.map((key) => `grad.${key}`),
    ]);
    if (before !== undefined) this.parts.instance.write("params", before);
    return {
      loss: results.loss![0]!,
      gradients: Object.fromEntries(keys.map((key) => [key, results[`grad.${key}`]!])),
    };
  }

  /** The trained tensors as they are now, by checkpoint key. */
  async parameters(): Promise<Map<string, Float32Array>> {
    const params = new Map<string, Float32Array>();
    for (const tensor of this.program.adapter?.tensors ?? []) {
      if (tensor.role === "param") params.set(tensor.key, await this.parts.instance.read(tensor.key));
    }
    return params;
  }

  /** The adapter's tensors as its file holds them. */
  async adapterTensors(): Promise<Map<string, HostTensor>> {
    return savedTensors(this.program.adapter!, await this.parameters(), this.parts.values);
  }

  /** The base model with this adapter merged in; its tensors are computed when they are read. `sink` is warned of ties that it breaks. */
  async merge(sink = new DiagnosticSink()): Promise<Model> {
    const values = { ...this.parts.values, params: await this.parameters() };
    return mergedModel(this.program, this.parts.model, await this.parts.mergeExecutor(), values, sink);
  }

  /** Everything that a run needs to go on bit for bit, beside its data. */
  async optimizerState(): Promise<OptimizerState> {
    const [params, moment1, moment2] = await Promise.all(
      ["params", "moment1", "moment2"].map((name) => this.parts.instance.read(name)),
    );
    return { step: this.stepNumber, params: params!, moment1: moment1!, moment2: moment2! };
  }

  restore(state: OptimizerState): void {
    this.parts.instance.write("params", state.params);
    this.parts.instance.write("moment1", state.moment1);
    this.parts.instance.write("moment2", state.moment2);
    this.stepNumber = state.step;
  }

  /** Writes the adapter: `adapter_config.json` and `adapter_model.safetensors`, as PEFT does. Into a folder (Node). */
  async save(folder: string, options: OutputOptions = {}): Promise<void> {
    await saveAdapter(folder, await this.content(), options);
  }

  /** The adapter's files as bytes by name, for pages. */
  async files(): Promise<Map<string, Uint8Array>> {
    return encodeAdapter(await this.content());
  }

  private async content(): Promise<AdapterContent> {
    const { adapter } = this.program;
    if (adapter === undefined)
      throw new WebpeftError("SESSION-MODE", { message: "the base model alone has no adapter to save" });
    const config = adapter.savedConfig as AdapterContent["config"];
    return { config, floatFields: adapter.floatFields, tensors: await this.adapterTensors() };
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.parts.instance.dispose();
    this.parts.release();
  }
}
