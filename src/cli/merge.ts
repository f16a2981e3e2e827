/** `webpeft merge`: a plain model folder with the adapter merged in, and the proof that it computes the same. */
import { compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import type { ModelInput } from "../models/model.ts";
import { forAllSamples, type SessionBatch } from "../runtime/data/batch.ts";
import { withEndOfRows } from "../runtime/data/drawn.ts";
import { loadModel, type Model } from "../runtime/files/model.ts";
import { excludedOfModels, saveModel } from "../runtime/files/save-model.ts";
import { mainNumbers } from "../runtime/runs/forward.ts";
import { adapterText } from "./adapter-text.ts";
import {
  compileSources,
  defaultLength,
  readSources,
  type SourceOptions,
  type Sources,
  startProgram,
} from "./common.ts";
import { emit, say, warn } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { type RunsOn, runOn } from "./runs-on.ts";

interface MergeOptions extends SourceOptions {
  readonly out: string;
  readonly overwrite?: boolean;
  readonly task?: number;
  readonly gates?: readonly number[];
}

/** A fixed batch of one row. */
export function fixedBatch({ length, model }: Program): SessionBatch {
  const numbers = (input: ModelInput): number[] => {
    const { rowShape = [length], limit } = input;
    const count = sizeOf(rowShape);
    const made = Array.from({ length: count }, (_unused, i) =>
      limit === undefined ? Math.sin(i) : (i * 7919 + 13) % limit,
    );
    return withEndOfRows(made, input, count);
  };
  return Object.fromEntries(model.inputs.map((input) => [input.name, numbers(input)]));
}

export interface LogitGap {
  /** The largest difference of any logit, and the largest logit. */
  readonly gap: number;
  readonly scale: number;
}

/** How far the logits of a merged model are from those of the adapted one, on the batch that gave them. */
export async function logitGap(
  adapted: Float32Array,
  merged: Model,
  length: number,
  { executor, target }: RunsOn,
): Promise<LogitGap> {
  const program = await compile(merged, null, { mode: "infer", batch: 1, length, target });
  const session = await program.start({ device: executor });
  const plain = mainNumbers(await session.forward(fixedBatch(program)));
  session.dispose();
  const largest = (value: (x: number, i: number) => number): number =>
    adapted.reduce((most, x, i) => Math.max(most, Math.abs(value(x, i))), 0);
  return { gap: largest((x, i) => x - plain[i]!), scale: largest((x) => x) };
}

/** What rounding every weight once can do to the logits, as a part of the largest one, and what f32 arithmetic can. */
function tolerance({ weights }: Model): number {
  const units: Readonly<Record<string, number>> = { F16: 2 ** -11, BF16: 2 ** -8 };
  const unit = Math.max(0, ...weights.keys().map((key) => units[weights.info(key)!.dtype] ?? 0));
  return 1e-3 + 64 * unit;
}

/** Throws `MERGE-GAP` where a merged model is not what the adapted one was, beyond what rounding explains. */
export function judgeGap({ gap, scale }: LogitGap, merged: Model): void {
  const allowed = tolerance(merged) * scale;
  if (gap <= allowed) return;
  throw new WebpeftError("MERGE-GAP", {
    message: "the merged model does not compute what the adapter computes, so it was not written",
    where: "logits",
    expected: `a largest gap of ${allowed.toExponential(2)}, of logits up to ${scale.toFixed(2)}`,
    got: gap.toExponential(2),
    help: "merge into a base of a wider type, or keep the adapter beside the base model; in f32 this is a defect of webpeft",
  });
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as MergeOptions;
  const overwrite = options.overwrite ?? false;
  await claimOutput(options.out, { overwrite, excluded: excludedOfModels });
  const sources = await readSources(options);
  const text = await adapterText(sources.model, sources.adapter!.tree, options.strict ?? false);
  const { gap, scale } = await runOn(options.device, (on) => mergeOn(on, sources, options));
  say(
    options,
    `${options.out}: largest logit gap between merged and unmerged ${gap.toExponential(2)}, of logits up to ${scale.toFixed(2)}`,
  );
  if (text.length > 0) say(options, `${options.out}: ${text.join(", ")} of the adapter's folder`);
  emit(options, { type: "done", out: options.out, largest_logit_gap: gap, largest_logit: scale });
  return 0;
}

/** Merges, compares, and writes what agrees. */
async function mergeOn(on: RunsOn, sources: Sources, options: MergeOptions): Promise<LogitGap> {
  const { task, gates, overwrite = false } = options;
  const shape = { batch: 1, length: Math.min(32, defaultLength(sources.model)), target: on.target };
  // Nothing folded: a folded program does what merging does, and would agree with it whatever both compute.
  const asMerged = gates !== undefined;
  const program = await compileSources(sources, options, { mode: "infer", ...shape, fold: false, asMerged });
  const session = await startProgram(program, sources, options, on, asMerged ? { fixed: { task, gates } } : {});
  const sink = new DiagnosticSink(options.strict ?? false);
  const model = await session.merge(sink, { task, gates });
  const adapted = mainNumbers(await session.forward({ ...fixedBatch(program), ...forAllSamples(program, { task }) }));
  // What was merged stays usable; the check of what is written has the memory for itself.
  session.dispose();
  warn(sink.diagnostics);
  let proof: LogitGap = { gap: Number.NaN, scale: 0 };
  const check = async (staged: string): Promise<void> => {
    const written = await loadModel(staged);
    proof = await logitGap(adapted, written, shape.length, on);
    judgeGap(proof, written);
  };
  await saveModel(model, options.out, { overwrite, check });
  return proof;
}
