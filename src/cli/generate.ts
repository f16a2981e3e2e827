/** `webpeft generate`: continues a text, printing it as it comes. */
import { generateText } from "../runtime/generate.ts";
import {
  compileSources,
  defaultLength,
  modelTokenizer,
  readSources,
  type SourceOptions,
  startProgram,
} from "./common.ts";
import { emit } from "./output.ts";

interface GenerateCommandOptions extends SourceOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly length?: number;
  readonly task?: number;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as GenerateCommandOptions;
  const sources = await readSources(options);
  const tokenizer = await modelTokenizer(sources.model);
  const program = await compileSources(sources, options, {
    mode: "infer",
    batch: 1,
    length: options.length ?? defaultLength(sources.model),
  });
  const session = await startProgram(program, sources, options);
  try {
    const stream = options.json ? process.stderr : process.stdout;
    stream.write(options.prompt);
    const { maxTokens, temperature, seed = 0 } = options;
    const text = await generateText(session, tokenizer, options.prompt, {
      maxTokens,
      temperature,
      seed,
      fixed: { task: options.task },
      onText: (added) => stream.write(added),
    });
    stream.write("\n");
    emit(options, { type: "done", text });
  } finally {
    session.dispose();
  }
  return 0;
}
