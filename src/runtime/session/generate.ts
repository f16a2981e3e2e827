/** Text from a session, token by token. The window of the last tokens that the program holds is computed anew for every token. */
import { type Diagnostic, formatDiagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { openUniform, threefry } from "../../ir/threefry.ts";
import { forAllSamples, type SampleOptions } from "../data/batch.ts";
import { frontOf } from "../data/examples.ts";
import { TextStream } from "../data/text-stream.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import { pathIn, readText } from "../files/folder.ts";
import { parseJsonObject } from "../files/json.ts";
import type { Model } from "../files/model.ts";
import { amount, type Checks, callable, checkOptions, record, seed, signal, whole } from "../options.ts";
import type { Session } from "./session.ts";

export interface GenerateOptions {
  readonly maxTokens: number;
  /** 0 takes the likeliest token. */
  readonly temperature?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** What the adapter reads of a sample, such as `{ task: 1 }` where it routes by tasks. */
  readonly fixed?: SampleOptions;
  /** Told of new text as it comes; a character comes when all of its bytes are there. */
  readonly onText?: (text: string) => void;
  /** Told `GENERATE-WINDOW` when the text outgrows the program, which then looks back on its end only; the console, unless given. */
  readonly warn?: (warning: Diagnostic) => void;
}

const checks: Checks<GenerateOptions> = {
  maxTokens: whole,
  temperature: amount,
  seed,
  signal,
  fixed: record,
  onText: callable,
  warn: callable,
};

/** A token drawn from logits; the draw depends on (seed, position) only. */
function choose(logits: Float32Array, temperature: number, seed: number, position: number): number {
  let best = 0;
  logits.forEach((logit, i) => {
    if (logit > logits[best]!) best = i;
  });
  if (temperature <= 0) return best;
  const weights = logits.map((logit) => Math.exp((logit - logits[best]!) / temperature));
  const total = weights.reduce((sum, w) => sum + w, 0);
  let left = openUniform(threefry(seed, position, 0, 0x7e47)[0]) * total;
  const drawn = weights.findIndex((w) => {
    left -= w;
    return left <= 0;
  });
  return drawn < 0 ? best : drawn;
}

/** Logits behind the last token of `ids`. */
async function nextLogits(session: Session, ids: readonly number[], fixed: SampleOptions): Promise<Float32Array> {
  const { batch, length, model, virtual } = session.program;
  const window = ids.slice(-length);
  const input_ids = new Int32Array(batch * length);
  for (let row = 0; row < batch; row++) input_ids.set(window, row * length);
  const { logits } = await session.forward({ input_ids, ...forAllSamples(session.program, fixed) });
  const { vocabulary, head } = model.defaults;
  if (head.kind !== "causal")
    throw new WebpeftError("SESSION-MODE", {
      message: "text is written by causal language models only",
      expected: "a causal language model",
    });
  const last = virtual.tokens + window.length;
  return logits.subarray((last - 1) * vocabulary, last * vocabulary);
}

/**
 * Ids of a text to continue, with what the tokenizer puts in front of a text; what it puts behind belongs to texts that have ended. Throws
 * `DATA-PROMPT` when there are none.
 */
export function promptTokens(tokenizer: TextTokenizer, prompt: string): number[] {
  const inner = tokenizer.encode(prompt);
  const ids = [...frontOf(inner, tokenizer), ...inner];
  if (ids.length === 0 && tokenizer.beginToken !== undefined) ids.push(tokenizer.beginToken);
  if (ids.length > 0) return ids;
  throw new WebpeftError("DATA-PROMPT", {
    message: "the prompt holds no token",
    where: "--prompt",
    got: JSON.stringify(prompt),
  });
}

const configFile = "generation_config.json";

/**
 * The tokens that end a text, as transformers finds them: those that the model's `generation_config.json` names, one or a list;
 * `fallback`, those of `config.json`, where it names none or is not there. Throws `FILE-JSON`, and `MODEL-FIELD` for what is no token.
 */
export async function endTokens({ tree }: Model, fallback: readonly number[]): Promise<readonly number[]> {
  const text = tree === undefined ? undefined : await readText(tree, configFile);
  if (tree === undefined || text === undefined) return fallback;
  const { eos_token_id: given } = parseJsonObject(text, pathIn(tree, configFile));
  if (given === null || given === undefined) return fallback;
  const ids: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (ids.every((id) => Number.isSafeInteger(id))) return ids as readonly number[];
  throw new WebpeftError("MODEL-FIELD", {
    message: "the end tokens of the generation config are not usable",
    where: `${pathIn(tree, configFile)}: eos_token_id`,
    expected: "a token id or a list of them",
    got: JSON.stringify(given).slice(0, 80),
  });
}

function outgrown(length: number): Diagnostic {
  return {
    code: "GENERATE-WINDOW",
    severity: "warning",
    message: `the text is longer than the program: from here on it is continued from its last ${length} tokens`,
    expected: `at most ${length} tokens`,
    help: "Give a larger length, up to what the model takes, or a shorter prompt.",
  };
}

/**
 * The prompt continued by at most `maxTokens` tokens; ends at an end token of the model. Returns prompt and continuation, without special
 * tokens. Throws `DATA-PROMPT`, and what the session's forward pass throws.
 */
export async function generateText(
  session: Session,
  tokenizer: TextTokenizer,
  prompt: string,
  options: GenerateOptions,
): Promise<string> {
  checkOptions(options, checks, "SESSION-OPTION");
  const { onText, warn = (warning) => console.warn(formatDiagnostic(warning)) } = options;
  const { length, model } = session.program;
  const ids = promptTokens(tokenizer, prompt);
  const ends = await endTokens(session.model, model.defaults.endTokens);
  const stream = new TextStream(tokenizer, ids);
  let warned = false;
  for (let i = 0; i < options.maxTokens; i++) {
    options.signal?.throwIfAborted();
    if (ids.length > length && !warned) {
      warn(outgrown(length));
      warned = true;
    }
    const logits = await nextLogits(session, ids, options.fixed ?? {});
    const token = choose(logits, options.temperature ?? 0, options.seed ?? 0, i);
    if (ends.includes(token)) break;
    ids.push(token);
    onText?.(stream.next(ids));
  }
  onText?.(stream.end(ids));
  return tokenizer.decode(ids);
}
