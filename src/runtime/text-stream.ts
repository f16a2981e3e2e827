/** A growing text, told piece by piece: all pieces together are the text, and none is taken back. */
import type { TextTokenizer } from "./data/tokenizer.ts";

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

export class TextStream {
  /** The prompt, and what has been told. */
  private shown: string;
  private begun = false;

  constructor(
    private readonly tokenizer: TextTokenizer,
    prompt: readonly number[],
  ) {
    this.shown = tokenizer.decode(prompt);
  }

  /** What is new in the text of `ids`, of the part that no further token changes. */
  next(ids: readonly number[]): string {
    const now = this.tokenizer.decodeStable(ids);
    if (this.shown.startsWith(now)) return "";
    const same = commonLength(this.shown, now);
    // The end of a prompt is changed by what follows where blanks are taken out; text that was told waits for the end.
    if (same < this.shown.length && this.begun) return "";
    return this.tell(now, same);
  }

  /** What is left to tell of the whole text. */
  end(ids: readonly number[]): string {
    const now = this.tokenizer.decode(ids);
    return this.tell(now, commonLength(this.shown, now));
  }

  private tell(now: string, from: number): string {
    this.begun = true;
    this.shown = now;
    return now.slice(from);
  }
}
