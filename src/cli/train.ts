/** `webpeft train`: trains an adapter (or all weights), with checkpoints that go on bit for bit. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { describeModel } from "../models/index.ts";
import type { CompiledProgram } from "../program/index.ts";
import { type BatchStream, openDataset } from "../runtime/data/dataset.ts";
import { dataLabels } from "../runtime/data/labels.ts";
import type { Reads } from "../runtime/executors/executor.ts";
import { usualReads } from "../runtime/executors/memory.ts";
import { isJsonObject } from "../runtime/files/json.ts";
import { excludedOfModels } from "../runtime/files/save-model.ts";
import type { Session } from "../runtime/session/session.ts";
import { requireCheckpoint } from "../runtime/training/checkpoint.ts";
import { requireTrainable } from "../runtime/values/prompt-encoder.ts";
import { compileSources, defaultLength, modelTokenizer, readSources, type Sources, startProgram } from "./common.ts";
import { checkLog } from "./log-file.ts";
import { tellOfLost, tellOfUnreadLabels } from "./lost-data.ts";
import { compiledFor, memoryLine } from "./memory.ts";
import { emit, say, warn } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { checkCheckpoints, readPaths } from "./replaced.ts";
import { runOn } from "./runs-on.ts";
import { checkTrace, TraceFile } from "./trace-file.ts";
import type { TrainCommandOptions } from "./train-parts.ts";
import { TrainRun } from "./train-run.ts";
import { checkReport, TrainingReport } from "./training-report.ts";
import { digestedModel } from "./weight-digest.ts";

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as TrainCommandOptions;
  const { overwrite = false, resume = false, log } = options;
  const excluded = options.full ? excludedOfModels : {};
  await claimOutput(options.out, { overwrite: overwrite || resume, excluded });
  const reads = readPaths(options);
  await checkCheckpoints(options.out, reads);
  if (log !== undefined) await checkLog(log, { overwrite, reads });
  if (options.trace !== undefined) await checkTrace(options.trace, overwrite, reads);
  if (options.report !== undefined) await checkReport(options.report, overwrite, reads);
  if (resume) await requireCheckpoint(options.out);
  const read = await readSources(options);
  if (read.config === null && !options.full) {
    throw new WebpeftError("CLI-SOURCES", {
      message: "nothing says what to train",
      expected: "--config FILE, --adapter DIR or --full",
    });
  }
  const { model, weights, files } = digestedModel(read.model);
  const sources = { ...read, model };
  const stream = await openStream(options.data, options, sources);
  const steps = stepsOf(stream, options);
  const tokenizer = files();
  const validation = options.valid === undefined ? undefined : await openValidation(options, sources, stream);
  const readsOf = (program: CompiledProgram): Reads => {
    const state = options.saveEvery === undefined ? [] : ["params", "moment1", "moment2"];
    return [...usualReads(program, validation !== undefined), ...state.map((name) => [name])];
  };
  return runOn(options.device, async (on) => {
    const program = await compileSources(sources, options, {
      ...compiledFor(on, options, model, readsOf),
      mode: "train",
      batch: stream.batch,
      length: stream.length,
      ...(stream.labelLength === undefined ? {} : { labelLength: stream.labelLength }),
      mask: stream.mask || (validation?.mask ?? false),
      accumulate: options.accumulate > 1,
      sampling: options.sampling,
      full: options.full ?? false,
    });
    const labels = dataLabels(program, stream);
    requireTrainable(program.adapter);
    const trace = options.trace === undefined ? undefined : new TraceFile(program, options.trace);
    const { onKernels } = options.debug.kernels(program);
    const session = await startProgram(program, sources, options, on, {
      reads: readsOf(program),
      ...(trace === undefined ? {} : { onKernels: trace.listen(onKernels) }),
      onForecast: (forecast) => {
        say(options, memoryLine(forecast));
        emit(options, { type: "memory", ...forecast });
      },
    });
    const report =
      options.report === undefined
        ? undefined
        : new TrainingReport(options.report, program, factsOf(options, session, stream, steps));
    try {
      const parts = { options, sources, program, session, stream, labels, steps, validation, report };
      const code = await new TrainRun({ ...parts, weights: weights(), tokenizer }).go();
      session.dispose();
      for (const file of [trace, report]) await file?.write(options);
      return code;
    } catch (error) {
      session.dispose();
      // What ended the run is told, whatever becomes of its files.
      for (const file of [trace, report]) await file?.write(options).catch(tellUnwritten);
      throw error;
    }
  });
}

const tellUnwritten = (error: unknown): void => {
  if (error instanceof WebpeftError) warn(error.diagnostics.map((own) => ({ ...own, severity: "warning" })));
  else process.stderr.write(`a file of the run could not be written: ${String(error)}\n`);
};

/** What the report says of a run. */
function factsOf(
  options: TrainCommandOptions,
  session: Session,
  stream: BatchStream,
  steps: number,
): [string, string][] {
  const {
    model,
    config,
    adapter,
    data,
    valid,
    lr,
    schedule,
    warmup,
    weightDecay,
    clip,
    accumulate,
    seed = 0,
  } = options;
  const given: [string, string | number | undefined][] = [
    ["device", session.device],
    ["model", model],
    ["config", config],
    ["adapter", adapter],
    ["data", data],
    ["evaluation on", valid],
    ["steps", steps],
    ["batch", `${stream.batch} x ${stream.length} tokens${accumulate > 1 ? ` x ${accumulate}` : ""}`],
    ["learning rate", `${lr}, ${schedule}${warmup > 0 ? `, ${warmup} steps of warm-up` : ""}`],
    ["weight decay", weightDecay],
    ["clipping", clip === 0 ? "none" : clip],
    ["seed", seed],
  ];
  return given.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]]));
}

async function openStream(path: string, options: TrainCommandOptions, { model }: Sources): Promise<BatchStream> {
  const { inputs, defaults } = describeModel(model.config);
  const { head, maximumLength, padToken } = defaults;
  const { id2label } = model.config;
  const stream = await openDataset(path, {
    batch: options.batchSize,
    length: options.length ?? defaultLength(model),
    accumulate: options.accumulate,
    seed: options.seed ?? 0,
    shuffle: true,
    padToken: padToken ?? 0,
    task: options.task,
    stride: options.docStride,
    head,
    types: inputs.some(({ name }) => name === "token_type_ids"),
    names: isJsonObject(id2label) ? Object.values(id2label).map(String) : [],
    tokenizer: () => modelTokenizer(model),
  });
  if (stream.report !== undefined) {
    tellOfUnreadLabels(stream.report, options);
    tellOfLost(stream.report, maximumLength, options);
  }
  return stream;
}

/** Validation data in the shape of the training data: texts are cut to it, a ready batch must have it. Throws `DATA-VALID-SHAPE`. */
async function openValidation(
  options: TrainCommandOptions,
  sources: Sources,
  { batch, length, labelLength }: BatchStream,
): Promise<BatchStream> {
  const path = options.valid!;
  const stream = await openStream(path, { ...options, batchSize: batch, length, accumulate: 1 }, sources);
  if (stream.batch === batch && stream.length === length && stream.labelLength === labelLength) return stream;
  throw new WebpeftError("DATA-VALID-SHAPE", {
    message: "the validation batch has another shape than the training batch",
    where: path,
    expected: `[${batch}, ${length}]`,
    got: `[${stream.batch}, ${stream.length}]`,
    help: "one program runs both; give a batch of the same shape, or text",
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
