/** `webpeft merge`: a plain model folder with the adapter merged in, and the proof that it computes the same. */
import { compile } from "../compile.ts";
import { DiagnosticSink } from "../ir/diagnostics.ts";
import { loadModel } from "../runtime/files/model.ts";
import { prepareOutput } from "../runtime/files/output.ts";
import { saveModel } from "../runtime/files/save-model.ts";
import { compileSources, defaultLength, readSources, type SourceOptions, startProgram } from "./common.ts";
import { emit, say, warn } from "./output.ts";

interface MergeOptions extends SourceOptions {
  readonly out: string;
  readonly overwrite?: boolean;
}

/** A fixed batch of token ids. */
function fixedBatch(length: number, vocabulary: number): { input_ids: Int32Array } {
  return { input_ids: Int32Array.from({ length }, (_unused, i) => (i * 7919 + 13) % vocabulary) };
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as MergeOptions;
  const overwrite = options.overwrite ?? false;
  await prepareOutput(options.out, { overwrite });
  const sources = await readSources(options);
  const length = Math.min(32, defaultLength(sources.model));
  const program = await compileSources(sources, options, { mode: "infer", batch: 1, length });
  const session = await startProgram(program, sources, options);
  const batch = fixedBatch(length, program.model.defaults.vocabulary);
  const { logits } = await session.forward(batch);
  const sink = new DiagnosticSink(options.strict ?? false);
  const model = await session.merge(sink);
  warn(sink.diagnostics);
  await saveModel(model, options.out, { overwrite });
  session.dispose();
  const merged = await compile(await loadModel(options.out), null, { mode: "infer", batch: 1, length });
  const plain = await merged.start({ device: options.device });
  const again = (await plain.forward(batch)).logits;
  plain.dispose();
  const gap = logits.reduce((largest, x, i) => Math.max(largest, Math.abs(x - again[i]!)), 0);
  const scale = logits.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  say(
    options,
    `${options.out}: largest logit gap between merged and unmerged ${gap.toExponential(2)}, of logits up to ${scale.toFixed(2)}`,
  );
  emit(options, { type: "done", out: options.out, largest_logit_gap: gap, largest_logit: scale });
  return 0;
}
