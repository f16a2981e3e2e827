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

/** How many tokens of `whole` begin before the place where `start`, the tokens of what stands before it, ends. */
function tokensBefore(whole: Tokens, start: Tokens, marks: TokenMarks): number {
  const { length } = start.ids;
  let count = 0;
  while (count < length && start.ids[count] === whole.ids[count]) count++;
  let left = 0;
  for (const text of start.texts.slice(count)) left += reach(text, marks);
  for (; left > 0 && count < whole.ids.length; count++) left -= reach(whole.texts[count]!, marks);
  return count;
}

/** Whether the pieces between the cuts have, one behind the other, the tokens of the whole; then the ends of the pieces are the places. */
function piecewise(whole: Tokens, pieces: readonly Tokens[]): boolean {
  const ids = pieces.flatMap((piece) => piece.ids);
  return ids.length === whole.ids.length && ids.every((id, i) => id === whole.ids[i]);
}

/**
 * Tokenises `text` and finds the places `cuts` (ascending, in UTF-16 units). A token that reaches over a cut begins before it. Tokens of a
 * part of a character stand where the character stands.
 */
export function cutTokens(
  text: string,
  cuts: readonly number[],
  tokenize: (text: string) => Tokens,
  marks: TokenMarks,
): CutTokens {
  const whole = tokenize(text);
  const edges = [0, ...cuts, text.length];
  const pieces = edges.slice(1).map((end, i) => tokenize(text.slice(edges[i], end)));
  if (piecewise(whole, pieces)) {
    let count = 0;
    const before = pieces.slice(0, -1).map((piece) => {
      count += piece.ids.length;
      return count;
    });
    return { ids: whole.ids, before };
  }
  return { ids: whole.ids, before: cuts.map((cut) => tokensBefore(whole, tokenize(text.slice(0, cut)), marks)) };
}
