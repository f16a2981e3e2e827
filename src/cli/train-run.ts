/** One run of `webpeft train`: what it says, its log, its checkpoints, and how it ends. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import { saveModel } from "../runtime/files/save-model.ts";
import { NotFiniteError } from "../runtime/runs/not-finite-error.ts";
import type { Session } from "../runtime/session/session.ts";
import {
  loadCheckpoint,
  type RunIdentity,
  removeCheckpoints,
  removeLeftovers,
  saveCheckpoint,
} from "../runtime/training/checkpoint.ts";
import { type StepEvent, train } from "../runtime/training/loop.ts";
import { warnOfFile } from "./common.ts";
import { LogFile } from "./log-file.ts";
import { emit, say } from "./output.ts";
import { runIdentity } from "./run-identity.ts";
import { shellWord } from "./shell.ts";
import { stdoutLoss } from "./stdout-loss.ts";
import { onStopSignal } from "./stop-signal.ts";
import type { TrainCommandOptions, TrainRunParts } from "./train-parts.ts";

export class TrainRun {
  private readonly abort = new AbortController();
  /** Why the run was told to stop, where nobody asked for it. */
  private reason: string | undefined;
  private began = performance.now();
  private logFile: LogFile | undefined;
  /** Writes a checkpoint of the run as it is. */
  private save: () => Promise<void> = async () => undefined;

  constructor(private readonly parts: TrainRunParts) {}

  private get options(): TrainCommandOptions {
    return this.parts.options;
  }

  private get session(): Session {
    return this.parts.session;
  }

  /** Trains to the end. Throws `TRAIN-STOPPED` when it was told to stop before, with its state saved. */
  async go(): Promise<number> {
    const identity = await runIdentity(this.parts);
    this.save = () => saveCheckpoint(this.options.out, this.session, identity);
    await this.begin(identity);
    this.announce();
    const release = onStopSignal(() => this.abort.abort());
    stdoutLoss.stopsBy((reason) => {
      this.reason = reason;
      this.abort.abort();
    });
    try {
      const status = await this.loop();
      await this.log({ type: "done", status, steps: this.session.steps });
      if (status === "stopped") throw this.stopped();
      return await this.finish();
    } catch (error) {
      this.parts.report?.fail(error, this.session.steps);
      if (error instanceof NotFiniteError) await this.keep(error);
      throw error;
    } finally {
      release();
      await this.logFile?.close();
    }
  }

  /** A step that was not taken has left everything as it was before; with checkpoints that state is one. The log says where it went wrong. */
  private async keep({ code, message, where, origin }: NotFiniteError): Promise<void> {
    await this.log({
      type: "failed",
      steps: this.session.steps,
      code,
      message,
      ...(where && { where }),
      ...(origin && { origin }),
    });
    if (this.options.saveEvery !== undefined) await this.save();
  }

  /**
   * Goes on from the newest checkpoint, or clears away what an earlier run left: its later checkpoints would be kept before those of this
   * run, and be found by `--resume`. With `--save-every` the first checkpoint is written before the first step, so that a run that was
   * killed at any later moment can be resumed. A log that cannot be written ends the run before anything is cleared away.
   */
  private async begin(identity: RunIdentity): Promise<void> {
    const { out, resume, saveEvery } = this.options;
    await removeLeftovers(out);
    if (resume) {
      await this.session.restore(await loadCheckpoint(out, identity));
      say(this.options, `resuming after ${this.session.steps} steps`);
    }
    await this.startLog(identity);
    if (resume) return;
    await removeCheckpoints(out);
    if (saveEvery !== undefined) await this.save();
  }

  private announce(): void {
    const { program, session, stream, labels, steps } = this.parts;
    const trained = program
      .adapter!.tensors.filter((t) => t.role === "param")
      .reduce((sum, t) => sum + sizeOf(t.shape), 0);
    say(this.options, `device      ${session.device}`);
    say(
      this.options,
      `adapter     ${program.adapter!.method}, ${program.adapter!.sites.length} modules, ${trained.toLocaleString("en")} trained numbers`,
    );
    say(this.options, `data        ${labels.trained} labels trained, ${labels.ignored} ignored`);
    say(
      this.options,
      `steps       ${steps}, ${stream.batch} x ${stream.length} tokens${this.options.accumulate > 1 ? ` x ${this.options.accumulate}` : ""}`,
    );
  }

  /** The log begins with a header; a resumed one is cut back to the steps of the checkpoint. */
  private async startLog(identity: RunIdentity): Promise<void> {
    const { log, resume, seed = 0 } = this.options;
    if (log === undefined) return;
    const header = { type: "header", version: __VERSION__, device: this.session.device, seed, ...identity };
    const isBefore = (line: Readonly<Record<string, unknown>>): boolean =>
      line.type === "header" || (line.type === undefined && Number(line.step) < this.session.steps);
    this.logFile = await LogFile.begin(log, header, (line) => resume === true && isBefore(line));
  }

  /** What was learned until a log fails is kept, where there is room for it. */
  private async log(record: Readonly<Record<string, unknown>>): Promise<void> {
    emit(this.options, record);
    this.parts.report?.add(record);
    await this.logFile?.write(record).catch(async (error: unknown) => {
      await this.save().catch(() => undefined);
      throw error;
    });
  }

  private async loop(): Promise<"finished" | "stopped"> {
    const { options, session } = this;
    const { lr, schedule: name, warmup, weightDecay, clip, saveEvery, evalEvery } = options;
    const events = train(session, this.parts.stream, {
      schedule: { name, lr, warmup, steps: this.parts.steps },
      weightDecay,
      maxNorm: clip,
      signal: this.abort.signal,
      save: this.save,
      ...(saveEvery === undefined ? {} : { saveEvery }),
      ...(this.parts.validation === undefined
        ? {}
        : { validation: this.parts.validation, evalEvery: evalEvery ?? this.parts.steps }),
    });
    this.began = performance.now();
    const first = session.steps;
    for await (const event of events) {
      if (event.type === "step") {
        const { type: _type, ...line } = event;
        this.progress(event, first);
        await this.log(line);
      } else if (event.type === "eval") {
        await this.log({ type: "eval", step: event.step, loss: event.loss });
        say(options, `evaluation after ${event.step} steps: loss ${event.loss.toFixed(4)}`);
      } else if (event.type === "done") return event.status;
    }
    return "finished";
  }

  private progress(event: StepEvent, first: number): void {
    const done = event.step + 1 - first;
    const left = ((performance.now() - this.began) / done) * (this.parts.steps - event.step - 1);
    const line =
      `step ${event.step + 1}/${this.parts.steps}  loss ${event.loss.toFixed(4)}  lr ${event.lr.toExponential(2)}  ` +
      `|g| ${event.grad_norm.toFixed(3)}  ${event.tokens_per_s.toFixed(0)} tokens/s  ${(left / 1000).toFixed(0)} s left`;
    if (process.stderr.isTTY) process.stderr.write(`\r${line}\x1b[K${event.step + 1 === this.parts.steps ? "\n" : ""}`);
    else if (done === 1 || event.step + 1 === this.parts.steps || (event.step + 1) % 10 === 0) say(this.options, line);
  }

  /** What was learned is kept where its files cannot be written: `--resume` writes them once they can be. */
  private async finish(): Promise<number> {
    const { out, full } = this.options;
    const write = async (): Promise<void> =>
      full
        ? saveModel(await this.session.merge(), out, { overwrite: true })
        : this.session.save(out, { overwrite: true });
    await write().catch(async (error: unknown) => {
      await this.save().catch(() => undefined);
      throw error;
    });
    if (!full) warnOfFile(this.session.program);
    await removeCheckpoints(out);
    say(this.options, `${out}: ${full ? "the trained model" : "the adapter"}`);
    return 0;
  }

  private stopped(): WebpeftError {
    const words = process.argv.slice(2).filter((word) => word !== "--resume" && word !== "--overwrite");
    return new WebpeftError("TRAIN-STOPPED", {
      message: `stopped after ${this.session.steps} of ${this.parts.steps} steps; the state is saved`,
      where: this.options.out,
      ...(this.reason !== undefined && { got: this.reason }),
      help: `go on with: webpeft ${words.map(shellWord).join(" ")} --resume`,
    });
  }
}
