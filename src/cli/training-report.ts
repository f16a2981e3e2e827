/** `--report FILE.html`: the page of a training, with `loss.svg` beside it, written however the run ends. */
import { mkdir } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import type { Program } from "../compile/program.ts";
import { type Failure, failureRecord, lossSvg, reportPage, type TrainingData, trainingPage } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { TrainedStep } from "../program/run-records.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import { NotFiniteError } from "../runtime/runs/not-finite-error.ts";
import { packed } from "./failure-dump.ts";
import { type PrintOptions, say } from "./output.ts";
import { checkReplaced } from "./replaced.ts";

/** Names of the files: the page, the curve, and the program's report where the page leads into it. */
function filesOf(page: string) {
  const stem = basename(page, extname(page));
  return { page, curve: join(dirname(page), "loss.svg"), program: join(dirname(page), `${stem}-program.html`) };
}

/** What an earlier run wrote is replaced, any other file only with `overwrite`. Throws what `checkReplaced` throws. */
export async function checkReport(page: string, overwrite: boolean, reads: readonly string[]): Promise<void> {
  for (const file of Object.values(filesOf(page)))
    await checkReplaced(file, {
      overwrite,
      reads,
      ours: (text) => text.startsWith("<svg") || /<title>webpeft/.test(text.slice(0, 800)),
      message: "--report would replace a file that is no report",
      expected: "new files, or those of an earlier run",
    });
}

/** Takes what the log takes. */
export class TrainingReport {
  private readonly steps: TrainedStep[] = [];
  private readonly evaluations: { readonly step: number; readonly loss: number }[] = [];
  private status = "stopped before it began";
  private failure: Failure | undefined;
  /** What the program's report begins with, where the page leads into it. */
  private programFailure: ReturnType<typeof failureRecord> | undefined;

  constructor(
    private readonly file: string,
    private readonly program: Program,
    private readonly facts: TrainingData["facts"],
  ) {}

  add(record: Readonly<Record<string, unknown>>): void {
    if (record.type === undefined) this.steps.push(record as unknown as TrainedStep);
    else if (record.type === "eval") this.evaluations.push(record as unknown as TrainedStep);
    else if (record.type === "done") this.status = `${record.status} after ${record.steps} steps`;
  }

  /** What ended the run before its end. */
  fail(error: unknown, step: number): void {
    this.status = `failed after ${step} steps`;
    if (!(error instanceof WebpeftError)) return;
    const { code, message, where, help } = error;
    if (code === "TRAIN-STOPPED") {
      this.status = `stopped after ${step} steps`;
      return;
    }
    const origin = error instanceof NotFiniteError ? error.origin : undefined;
    this.programFailure = origin && failureRecord(error);
    const program = this.programFailure ? encodeURIComponent(basename(filesOf(this.file).program)) : undefined;
    this.failure = { code, message, where, help, step, origin, program };
  }

  private get data(): TrainingData {
    const { adapter, modelConfig } = this.program;
    const title = `${adapter?.method ?? "all weights"} on ${String(modelConfig.model_type ?? "a model")}`;
    const { steps, evaluations, status, facts, failure } = this;
    return { title: `training of ${title}`, status, facts, steps, evaluations, failure };
  }

  async write(options: PrintOptions): Promise<void> {
    const { page, curve, program } = filesOf(this.file);
    const { data } = this;
    await mkdir(dirname(page), { recursive: true });
    const svg = lossSvg(data);
    if (svg !== "") await writeFileAtomically(curve, svg);
    const failure = this.programFailure;
    if (failure) await writeFileAtomically(program, reportPage(this.program, { failure, pack: packed }));
    await writeFileAtomically(page, trainingPage(data));
    say(options, `${page}: the report of the training${svg === "" ? "" : `, and ${basename(curve)} beside it`}`);
  }
}
