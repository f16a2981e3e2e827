/**
 * Where places of a text are among its tokens. A text is tokenised once, as a whole; a place in it is found by tokenising what stands before
 * it and comparing how far the two reach, so that whatever a tokenizer does to a text (a space in front, other letters, bytes) is in both.
 */

/** Tokens of a text, without those that a tokenizer puts around it. */
export interface Tokens {
  readonly ids: readonly number[];
  /** The text of each token as the vocabulary has it. */
  readonly texts: readonly string[];
}

export interface CutTokens {
  readonly ids: readonly number[];
  /** For every cut, how many tokens begin before it. */
  readonly before: readonly number[];
}

/** What the vocabulary writes onto a token and no text has: `##` before the rest of a word, `</w>` behind a word. */
export interface TokenMarks {
  readonly front: string;
  readonly back: string;
}

const encoder = new TextEncoder();

/** How far a token reaches: bytes of its text, one for a token of a byte (`<0x0A>`). */
function reach(text: string, { front, back }: TokenMarks): number {
  if (/^<0x[0-9A-F]{2}>$/.test(text)) return 1;
  const bare = front !== "" && text.startsWith(front) ? text.slice(front.length) : text;
  const word = back !== "" && bare.endsWith(back) ? bare.slice(0, -back.length) : bare;
  return encoder.encode(word).length;
}

/** How many tokens of `whole`, from the one at `first` on, begin before the place where `start`, the tokens of what stands before it, ends. */
function tokensBefore(whole: Tokens, first: number, start: Tokens, marks: TokenMarks): number {
  const { length } = start.ids;
  let count = 0;
  while (count < length && start.ids[count] === whole.ids[first + count]) count++;
  let left = 0;
  for (const text of start.texts.slice(count)) left += reach(text, marks);
  for (; left > 0 && first + count < whole.ids.length; count++) left -= reach(whole.texts[first + count]!, marks);
  return count;
}

/** The places when the pieces between the cuts have, one behind the other, the tokens of the whole; else undefined. */
function piecewise(whole: Tokens, text: string, cuts: readonly number[], how: Tokenizing): number[] | undefined {
  const before: number[] = [];
  let [begin, count] = [0, 0];
  for (const cut of [...cuts, text.length]) {
    const { ids } = how.tokenize(text.slice(begin, cut));
    if (!ids.every((id, i) => id === whole.ids[count + i])) return undefined;
    [begin, count] = [cut, count + ids.length];
    before.push(count);
  }
  return count === whole.ids.length ? before.slice(0, -1) : undefined;
}

/** How a tokenizer makes tokens. */
export interface Tokenizing {
  readonly tokenize: (text: string) => Tokens;
  readonly marks: TokenMarks;
  /** Texts that are tokens wherever they stand, and separate what stands on their two sides. */
  readonly separators: ReadonlySet<string>;
}

/** The places by the tokens of what stands before each, from the last separator before the previous one on. */
function byPrefixes(whole: Tokens, text: string, cuts: readonly number[], how: Tokenizing): number[] {
  let [begin, first] = [0, 0];
  return cuts.map((cut) => {
    const start = how.tokenize(text.slice(begin, cut));
    const before = first + tokensBefore(whole, first, start, how.marks);
    const last = start.texts.findLastIndex((token) => how.separators.has(token));
    if (last > 0) {
      begin = text.slice(0, cut).lastIndexOf(start.texts[last]!);
      first += last;
    }
    return before;
  });
}

/**
 * Tokenises `text` and finds the places `cuts` (ascending, in UTF-16 units). A token that reaches over a cut begins before it. Tokens of a
 * part of a character stand where the character stands.
 */
export function cutTokens(text: string, cuts: readonly number[], how: Tokenizing): CutTokens {
  const whole = how.tokenize(text);
  return { ids: whole.ids, before: piecewise(whole, text, cuts, how) ?? byPrefixes(whole, text, cuts, how) };
}
