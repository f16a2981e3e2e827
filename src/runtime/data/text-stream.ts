/** A growing text, told piece by piece: all pieces together are the text, and none is taken back. */
import type { TextTokenizer } from "./tokenizer.ts";

/** Where in `now` the end of `shown` is, and whether all of it is there; blanks may be gone, as decoders take some out. */
function reached(shown: string, now: string): { place: number; all: boolean } {
  let [from, place] = [0, 0];
  for (; from < shown.length; from++) {
    if (shown[from] === now[place]) place++;
    else if (shown[from] !== " ") break;
  }
  return { place, all: from === shown.length };
}

export class TextStream {
  /** The prompt, and what has been told. */
  private shown: string;

  constructor(
    private readonly tokenizer: TextTokenizer,
    prompt: readonly number[],
  ) {
    this.shown = tokenizer.decode(prompt);
  }

  /** What is new in the text of `ids`, of the part that no further token changes. */
  next(ids: readonly number[]): string {
    const now = this.tokenizer.decodeStable(ids);
    const { place, all } = reached(this.shown, now);
    // Text that does not hold what was told, yet or any more, waits.
    return all ? this.tell(now, place) : "";
  }

  /** What is left to tell of the whole text. */
  end(ids: readonly number[]): string {
    const now = this.tokenizer.decode(ids);
    return this.tell(now, reached(this.shown, now).place);
  }

  private tell(now: string, from: number): string {
    this.shown = now;
    return now.slice(from);
  }
}
