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

/** Tokens of a text, and the first and the last of them that hold characters of a part of it. */
export interface SpanTokens {
  readonly ids: readonly number[];
  readonly first: number;
  readonly last: number;
}

/** What the vocabulary writes onto a token and no text has: `##` before the rest of a word, `</w>` behind a word. */
export interface TokenMarks {
  readonly front: string;
  readonly back: string;
  /** Tokens of nothing but a blank, which may be in front of a text that has none. */
  readonly blanks: ReadonlySet<string>;
}

/** A place among tokens: how many begin before it, and whether the last of those reaches over it. */
interface Place {
  readonly count: number;
  readonly isOver: boolean;
}

const encoder = new TextEncoder();

/** How far a token reaches: bytes of its text, one for a token of a byte (`<0x0A>`). */
function reach(text: string, { front, back }: TokenMarks): number {
  if (/^<0x[0-9A-F]{2}>$/.test(text)) return 1;
  const bare = front !== "" && text.startsWith(front) ? text.slice(front.length) : text;
  const word = back !== "" && bare.endsWith(back) ? bare.slice(0, -back.length) : bare;
  return encoder.encode(word).length;
}

/** The place among tokens of `whole`, from the one at `first` on, where `start`, the tokens of what stands before it, ends. */
function placeAfter(whole: Tokens, first: number, start: Tokens, marks: TokenMarks): Place {
  const { length } = start.ids;
  let count = 0;
  while (count < length && start.ids[count] === whole.ids[first + count]) count++;
  let left = 0;
  for (const text of start.texts.slice(count)) left += reach(text, marks);
  for (; left > 0 && first + count < whole.ids.length; count++) left -= reach(whole.texts[first + count]!, marks);
  return { count, isOver: left < 0 };
}

/** The places when the pieces between the cuts have, one behind the other, the tokens of the whole; else undefined. */
function piecewise(whole: Tokens, text: string, cuts: readonly number[], how: Tokenizing): Place[] | undefined {
  const places: Place[] = [];
  let [begin, count] = [0, 0];
  for (const cut of [...cuts, text.length]) {
    const { ids } = how.tokenize(text.slice(begin, cut));
    if (!ids.every((id, i) => id === whole.ids[count + i])) return undefined;
    [begin, count] = [cut, count + ids.length];
    places.push({ count, isOver: false });
  }
  return count === whole.ids.length ? places.slice(0, -1) : undefined;
}

/** How a tokenizer makes tokens. */
export interface Tokenizing {
  readonly tokenize: (text: string) => Tokens;
  readonly marks: TokenMarks;
  /** Texts that are tokens wherever they stand, and separate what stands on their two sides. */
  readonly separators: ReadonlySet<string>;
}

/** The places by the tokens of what stands before each, from the last separator before the previous one on. */
function byPrefixes(whole: Tokens, text: string, cuts: readonly number[], how: Tokenizing): Place[] {
  let [begin, first] = [0, 0];
  return cuts.map((cut) => {
    const start = how.tokenize(text.slice(begin, cut));
    const { count, isOver } = placeAfter(whole, first, start, how.marks);
    const place = { count: first + count, isOver };
    const last = start.texts.findLastIndex((token) => how.separators.has(token));
    if (last > 0) {
      begin = text.slice(0, cut).lastIndexOf(start.texts[last]!);
      first += last;
    }
    return place;
  });
}

const placesOf = (whole: Tokens, text: string, cuts: readonly number[], how: Tokenizing): Place[] =>
  piecewise(whole, text, cuts, how) ?? byPrefixes(whole, text, cuts, how);

/**
 * Tokenises `text` and finds the places `cuts` (ascending, in UTF-16 units). A token that reaches over a cut begins before it. Tokens of a
 * part of a character stand where the character stands.
 */
export function cutTokens(text: string, cuts: readonly number[], how: Tokenizing): CutTokens {
  const whole = how.tokenize(text);
  return { ids: whole.ids, before: placesOf(whole, text, cuts, how).map(({ count }) => count) };
}

/**
 * Tokenises `text` and finds the tokens of `text.slice(from, to)`, which has a character at least. A character of several tokens (bytes, or
 * letters of a syllable) is held by all of them; a blank that the tokenizer put in front holds none.
 */
export function spanTokens(text: string, from: number, to: number, how: Tokenizing): SpanTokens {
  const whole = how.tokenize(text);
  const [begin, end] = placesOf(whole, text, [from, to], how) as [Place, Place];
  const last = end.count - 1;
  let first = begin.isOver ? begin.count - 1 : begin.count;
  const { blanks } = how.marks;
  const isBlank = /\s/.test(text[from]!) || blanks.has(text[from]!);
  while (!isBlank && first < last && blanks.has(whole.texts[first]!)) first++;
  return { ids: whole.ids, first: Math.min(first, last), last };
}
