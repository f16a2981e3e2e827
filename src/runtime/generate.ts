/** Text from a session, token by token. The window of the last tokens that the program holds is computed anew for every token. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { openUniform, threefry } from "../ir/threefry.ts";
import type { TextTokenizer } from "./data/tokenizer.ts";
import { type FixedInputs, fixedInputs } from "./fixed-inputs.ts";
import type { Session } from "./session.ts";

export interface GenerateOptions {
  readonly maxTokens: number;
  /** 0 takes the likeliest token. */
  readonly temperature?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** What the adapter reads of a sample, such as `{ task: 1 }` where it routes by tasks. */
  readonly fixed?: FixedInputs;
  /** Told of new text as it comes. */
  readonly onText?: (text: string) => void;
}

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
async function nextLogits(session: Session, ids: readonly number[], fixed: FixedInputs): Promise<Float32Array> {
  const { batch, length, model, virtual } = session.program;
  const window = ids.slice(-length);
  const input_ids = new Int32Array(batch * length);
  for (let row = 0; row < batch; row++) input_ids.set(window, row * length);
  const { logits } = await session.forward({ input_ids, ...fixedInputs(session.program, fixed) });
  const { vocabulary, head } = model.defaults;
  if (head.kind !== "causal")
    throw new WebpeftError("SESSION-MODE", {
      message: "text is written by causal language models only",
      expected: "a causal language model",
    });
  const last = virtual.tokens + window.length;
  return logits.subarray((last - 1) * vocabulary, last * vocabulary);
}

/** The prompt continued by at most `maxTokens` tokens; ends at the model's end token. Returns prompt and continuation. */
export async function generateText(
  session: Session,
  tokenizer: TextTokenizer,
  prompt: string,
  options: GenerateOptions,
): Promise<string> {
  const ids = tokenizer.encode(prompt);
  if (ids.length === 0 && tokenizer.beginToken !== undefined) ids.push(tokenizer.beginToken);
  if (ids.length === 0)
    throw new WebpeftError("DATA-PROMPT", {
      message: "the prompt holds no token",
      where: "--prompt",
      got: JSON.stringify(prompt),
    });
  let text = tokenizer.decode(ids);
  for (let i = 0; i < options.maxTokens; i++) {
    options.signal?.throwIfAborted();
    const logits = await nextLogits(session, ids, options.fixed ?? {});
    const token = choose(logits, options.temperature ?? 0, options.seed ?? 0, i);
    if (session.program.model.defaults.endTokens.includes(token)) break;
    ids.push(token);
    const now = tokenizer.decode(ids);
    options.onText?.(now.slice(text.length));
    text = now;
  }
  return text;
}
