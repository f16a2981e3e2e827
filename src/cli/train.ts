/** `webpeft train`: trains an adapter (or all weights), with checkpoints that go on bit for bit. */
import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import type { Program } from "../program-object.ts";
import { type BatchStream, openDataset } from "../runtime/data/dataset.ts";
import { prepareOutput } from "../runtime/files/output.ts";
import { saveModel } from "../runtime/files/save-model.ts";
import type { Session } from "../runtime/session.ts";
import { loadCheckpoint, type RunIdentity, removeCheckpoints, saveCheckpoint } from "../runtime/training/checkpoint.ts";
import { type StepEvent, train } from "../runtime/training/loop.ts";
import type { ScheduleName } from "../runtime/training/schedule.ts";
import {
  compileSources,
  defaultLength,
  modelTokenizer,
  readSources,
  type SourceOptions,
  type Sources,
  startProgram,
} from "./common.ts";
import { emit, say } from "./output.ts";

interface TrainCommandOptions extends SourceOptions {
  readonly data: string;
  readonly out: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize: number;
  readonly length?: number;
  readonly lr: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly clip: number;
  readonly accumulate: number;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly valid?: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly sampling: boolean;
  readonly full?: boolean;
  readonly log?: string;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as TrainCommandOptions;
  await prepareOutput(options.out, { overwrite: (options.overwrite ?? false) || (options.resume ?? false) });
  const sources = await readSources(options);
  if (sources.config === null && !options.full) {
    throw new WebpeftError("CLI-SOURCES", {
      message: "nothing says what to train",
      expected: "--config FILE, --adapter DIR or --full",
    });
  }
  const stream = await openStream(options.data, options, sources);
  const steps = stepsOf(stream, options);
  const program = await compileSources(sources, options, {
    mode: "train",
    batch: stream.batch,
    length: stream.length,
    mask: stream.mask,
    accumulate: options.accumulate > 1,
    sampling: options.sampling,
    full: options.full ?? false,
  });
  const validation =
    options.valid === undefined ? undefined : await openStream(options.valid, { ...options, accumulate: 1 }, sources);
  const session = await startProgram(program, sources, options);
  try {
    return await new TrainRun(options, sources, program, session, stream, steps, validation).go();
  } finally {
    session.dispose();
  }
}

async function openStream(path: string, options: TrainCommandOptions, { model }: Sources): Promise<BatchStream> {
  return openDataset(path, {
    batch: options.batchSize,
    length: options.length ?? defaultLength(model),
    accumulate: options.accumulate,
    seed: options.seed ?? 0,
    shuffle: true,
    padToken: 0,
    tokenizer: () => modelTokenizer(model),
  });
}

function stepsOf(stream: BatchStream, options: TrainCommandOptions): number {
  if (options.steps !== undefined) return options.steps;
  if (stream.stepsPerEpoch !== undefined) return stream.stepsPerEpoch * (options.epochs ?? 1);
  throw new WebpeftError("CLI-STEPS", {
    message: "one ready batch has no epochs",
    where: "--steps",
    expected: "--steps N",
  });
}

const hash = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex").slice(0, 32);

class TrainRun {
  private readonly abort = new AbortController();
  private began = performance.now();

  constructor(
    private readonly options: TrainCommandOptions,
    private readonly sources: Sources,
    private readonly program: Program,
    private readonly session: Session,
    private readonly stream: BatchStream,
    private readonly steps: number,
    private readonly validation: BatchStream | undefined,
  ) {}

  async go(): Promise<number> {
    const identity = await this.identity();
    await this.resume(identity);
    this.announce();
    await this.startLog(identity);
    const stop = (): void => this.abort.abort();
    process.once("SIGINT", stop);
    try {
      const status = await this.loop(identity);
      this.log({ type: "done", status, steps: this.session.steps });
      return status === "finished" ? await this.finish() : this.stopped();
    } finally {
      process.off("SIGINT", stop);
    }
  }

  /** Everything that a resumed run must have in common with the first. */
  private async identity(): Promise<RunIdentity> {
    const { model, config } = this.sources;
    const {
      data,
      lr,
      weightDecay,
      schedule,
      warmup,
      clip,
      accumulate,
      seed = 0,
      sampling,
      full = false,
      method,
      adapter,
    } = this.options;
    const headers = model.weights.keys().map((key) => [key, model.weights.info(key)]);
    return {
      model: hash(JSON.stringify([model.config, headers])),
      config: hash(JSON.stringify(config ?? null) + String(full)),
      data: hash(await readFile(data)),
      method: method === undefined ? "built in" : hash(await readFile(method)),
      start: adapter === undefined ? "fresh" : hash(await readFile(join(adapter, "adapter_model.safetensors"))),
      options: JSON.stringify({
        lr,
        weightDecay,
        schedule,
        warmup,
        clip,
        accumulate,
        seed,
        sampling,
        steps: this.steps,
        batch: this.stream.batch,
        length: this.stream.length,
      }),
      executor: this.session.executorName,
    };
  }

  private async resume(identity: RunIdentity): Promise<void> {
    // Left by an earlier run: its later steps would be kept before those of this one, and be found by --resume.
    if (!this.options.resume) return removeCheckpoints(this.options.out);
    const state = await loadCheckpoint(this.options.out, identity);
    if (state === undefined) {
      say(this.options, `${this.options.out} holds no checkpoint: starting anew`);
      return;
    }
    this.session.restore(state);
    say(this.options, `resuming after ${state.step} steps`);
  }

  private announce(): void {
    const { program, session, stream } = this;
    const trained = program
      .adapter!.tensors.filter((t) => t.role === "param")
      .reduce((sum, t) => sum + sizeOf(t.shape), 0);
    const storage = program.storage.buffers.reduce((sum, b) => sum + 4 * b.size, 0);
    const memory = session.deviceBytes ?? storage;
    say(this.options, `device      ${session.device}`);
    say(
      this.options,
      `adapter     ${program.adapter!.method}, ${program.adapter!.sites.length} modules, ${trained.toLocaleString("en")} trained numbers`,
    );
    say(this.options, `data        ${stream.trainedTokens} labels trained, ${stream.ignoredTokens} ignored`);
    say(
      this.options,
      `memory      ${(memory / 2 ** 20).toFixed(1)} MiB ${session.deviceBytes !== undefined ? "on the device, all buffers" : "for parameters, gradients and moments"}`,
    );
    say(
      this.options,
      `steps       ${this.steps}, ${stream.batch} x ${stream.length} tokens${this.options.accumulate > 1 ? ` x ${this.options.accumulate}` : ""}`,
    );
  }

  /** The log begins with a header; a resumed one is cut back to the steps of the checkpoint. */
  private async startLog(identity: RunIdentity): Promise<void> {
    const { log } = this.options;
    if (log === undefined) return;
    const before = this.options.resume ? await readFile(log, "utf8").catch(() => "") : "";
    const kept = before.split("\n").filter((line) => {
      const step = /^\{"step":(\d+)/.exec(line)?.[1];
      return step !== undefined ? Number(step) < this.session.steps : line.includes('"type":"header"');
    });
    const header = {
      type: "header",
      version: __VERSION__,
      device: this.session.device,
      seed: this.options.seed ?? 0,
      ...identity,
    };
    const lines = kept.length > 0 ? kept : [JSON.stringify(header)];
    await writeFile(log, `${lines.join("\n")}\n`);
  }

  private log(record: Readonly<Record<string, unknown>>): void {
    if (this.options.log !== undefined) appendFileSync(this.options.log, `${JSON.stringify(record)}\n`);
    emit(this.options, record);
  }

  private async loop(identity: RunIdentity): Promise<"finished" | "stopped"> {
    const { options, session } = this;
    const { lr, schedule: name, warmup, weightDecay, clip, saveEvery, evalEvery } = options;
    const events = train(session, this.stream, {
      schedule: { name, lr, warmup, steps: this.steps },
      weightDecay,
      maxNorm: clip,
      signal: this.abort.signal,
      save: () => saveCheckpoint(options.out, session, identity),
      ...(saveEvery === undefined ? {} : { saveEvery }),
      ...(this.validation === undefined ? {} : { validation: this.validation, evalEvery: evalEvery ?? this.steps }),
    });
    this.began = performance.now();
    const first = session.steps;
    for await (const event of events) {
      if (event.type === "step") {
        const { type: _type, ...line } = event;
        this.log(line);
        this.progress(event, first);
      } else if (event.type === "eval") {
        this.log({ type: "eval", step: event.step, loss: event.loss });
        say(options, `evaluation after ${event.step} steps: loss ${event.loss.toFixed(4)}`);
      } else if (event.type === "done") return event.status;
    }
    return "finished";
  }

  private progress(event: StepEvent, first: number): void {
    const done = event.step + 1 - first;
    const left = ((performance.now() - this.began) / done) * (this.steps - event.step - 1);
    const line =
      `step ${event.step + 1}/${this.steps}  loss ${event.loss.toFixed(4)}  lr ${event.lr.toExponential(2)}  ` +
      `|g| ${event.grad_norm.toFixed(3)}  ${event.tokens_per_s.toFixed(0)} tokens/s  ${(left / 1000).toFixed(0)} s left`;
    if (process.stderr.isTTY) process.stderr.write(`\r${line}\x1b[K${event.step + 1 === this.steps ? "\n" : ""}`);
    else if (done === 1 || event.step + 1 === this.steps || (event.step + 1) % 10 === 0) say(this.options, line);
  }

  private async finish(): Promise<number> {
    const { out, full } = this.options;
    if (full) await saveModel(await this.session.merge(), out, { overwrite: true });
    else await this.session.save(out, { overwrite: true });
    await removeCheckpoints(out);
    say(this.options, `${out}: ${full ? "the trained model" : "the adapter"}`);
    return 0;
  }

  /** Exit code of a run that was interrupted, as shells expect it. */
  private stopped(): number {
    const command = process.argv.slice(2).filter((word) => word !== "--resume" && word !== "--overwrite");
    say(
      this.options,
      `stopped after ${this.session.steps} steps; go on with:\n  webpeft ${command.join(" ")} --resume`,
    );
    return 130;
  }
}
