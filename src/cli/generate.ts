/** `webpeft generate`: continues a text, printing it as it comes. */
import { type Diagnostic, printable, WebpeftError } from "../ir/diagnostics.ts";
import { describeModel } from "../models/index.ts";
import type { TextTokenizer } from "../runtime/data/tokenizer.ts";
import { generateText, promptTokens } from "../runtime/session/generate.ts";
import type { MemoryForecast } from "../runtime/session/memory.ts";
import {
  compileSources,
  modelTokenizer,
  readSources,
  type SourceOptions,
  type Sources,
  startProgram,
} from "./common.ts";
import { memoryLine } from "./memory.ts";
import { emit, say, warn } from "./output.ts";
import { type RunsOn, runOn } from "./runs-on.ts";

interface GenerateCommandOptions extends SourceOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly length?: number;
  readonly task?: number;
}

/** Warnings go to stderr; under `--strict` they are errors. */
const warner =
  ({ strict = false }: SourceOptions) =>
  (warning: Diagnostic): void => {
    if (strict) throw new WebpeftError(warning.code, warning);
    warn([warning]);
  };

/** Tokens that the adapter puts in front of a text: they take places of the model. */
async function virtualTokens(sources: Sources, options: SourceOptions, { target }: RunsOn): Promise<number> {
  if (sources.config === null) return 0;
  const { virtual } = await compileSources(sources, options, { mode: "infer", batch: 1, length: 1, target });
  return virtual.tokens + virtual.keys;
}

/** Every token costs as much as the whole window does, so longer ones are for those who ask for them. */
const longestUnasked = 2048;

/** Tokens to look back on: the whole text if the model takes as many. */
async function windowLength(sources: Sources, options: SourceOptions, on: RunsOn, text: number): Promise<number> {
  const { maximumLength } = describeModel(sources.model.config).defaults;
  const wanted = Math.min(text, longestUnasked);
  // Adapters have a handful of virtual tokens; only near the end of the model it matters how many.
  if (wanted * 2 <= maximumLength) return wanted;
  return Math.max(1, Math.min(wanted, maximumLength - (await virtualTokens(sources, options, on))));
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as GenerateCommandOptions;
  const sources = await readSources(options);
  const tokenizer = await modelTokenizer(sources.model);
  await runOn(options.device, (on) => continueText(sources, tokenizer, options, on));
  return 0;
}

async function continueText(
  sources: Sources,
  tokenizer: TextTokenizer,
  options: GenerateCommandOptions,
  on: RunsOn,
): Promise<void> {
  const wanted = promptTokens(tokenizer, options.prompt).length + options.maxTokens - 1;
  const length = options.length ?? (await windowLength(sources, options, on, wanted));
  const program = await compileSources(sources, options, { mode: "infer", batch: 1, length, target: on.target });
  // What is on stdout is the text.
  const onForecast = (forecast: MemoryForecast): void => say({ json: true }, memoryLine(forecast));
  const session = await startProgram(program, sources, options, on, { onForecast });
  try {
    const stream = options.json ? process.stderr : process.stdout;
    // Nothing is written for a prompt that cannot be continued.
    let lead = options.prompt;
    const { maxTokens, temperature, seed = 0 } = options;
    const text = await generateText(session, tokenizer, options.prompt, {
      maxTokens,
      temperature,
      seed,
      fixed: { task: options.task },
      // A terminal would act on what a model may write; a file or a pipe gets the text as it is.
      onText: (added) => {
        stream.write(`${lead}${stream.isTTY ? printable(added) : added}`);
        lead = "";
      },
      warn: warner(options),
    });
    stream.write("\n");
    emit(options, { type: "done", text });
  } finally {
    session.dispose();
  }
}
