/** What threads do in a run: the calls of a script, some of them cut over all threads. */

export type Kernel = (places: number, from: number, to: number) => void;

/** A call of a function, or a copy within the memory. */
export interface ScriptEntry {
  /** Number of the function; -1: copy `blocks` bytes from `places` to `target`. */
  readonly kernel: number;
  readonly places: number;
  readonly blocks: number;
  /** Workgroups that a thread takes at once; 0: the first thread does them all. */
  readonly share: number;
  readonly target: number;
}

export const scriptOf = (entries: readonly ScriptEntry[]): Int32Array<ArrayBuffer> =>
  Int32Array.from(
    entries.flatMap(({ kernel, places, blocks, share, target }) => [kernel, places, blocks, share, target]),
  );

/** Words of the memory that a team shares: how many wait, the turn of the barrier, two counters, whether one of them failed. */
export const controlWords = 5;

export interface Team {
  readonly thread: number;
  readonly threads: number;
  /** The memory as words, and which of them is the first of the control words. */
  readonly words: Int32Array;
  readonly control: number;
}

/** What the words of a team are before every run, when no thread works on an earlier one: that a run failed is over with it. */
export function beginRun({ words, control }: Pick<Team, "words" | "control">): void {
  words.fill(0, control, control + 5);
}

/** What threads say whose run ends because of another's. */
export const otherFailed = "another thread failed";

/** Tells the others of a team that this thread failed. Workers are given the text of this function too. */
export function failTeam({ words, control }: Pick<Team, "words" | "control">): void {
  Atomics.store(words, control + 4, 1);
  Atomics.notify(words, control + 1);
}

/**
 * Runs a script as one of a team. Threads meet before and behind what is cut; a workgroup is done by one thread as it would be by any other, so
 * that numbers do not depend on how many there are. `told` gets the milliseconds of every entry. Workers are given the text of this function:
 * it uses nothing from outside.
 */
export function runScript(
  { thread, threads, words, control }: Team,
  functions: readonly Kernel[],
  script: Int32Array,
  told?: (entry: number, milliseconds: number) => void,
): void {
  const [waiting, turn, counters, failed] = [control, control + 1, control + 2, control + 4] as const;
  const meet = (): void => {
    if (threads === 1) return;
    const now = Atomics.load(words, turn);
    if (Atomics.add(words, waiting, 1) === threads - 1) {
      Atomics.store(words, waiting, 0);
      Atomics.add(words, turn, 1);
      Atomics.notify(words, turn);
      return;
    }
    for (let looks = 0; Atomics.load(words, turn) === now && Atomics.load(words, failed) === 0; looks++)
      if (looks > 4000) Atomics.wait(words, turn, now, 100);
  };
  let isCut = false;
  let cuts = 0;
  for (let at = 0; at < script.length; at += 5) {
    const begin = told === undefined ? 0 : performance.now();
    const [kernel, places, blocks] = [script[at]!, script[at + 1]! >>> 0, script[at + 2]!];
    const share = threads === 1 ? 0 : script[at + 3]!;
    if (share > 0 || isCut) meet();
    isCut = share > 0;
    if (isCut) {
      const counter = counters + (cuts & 1);
      for (let from = Atomics.add(words, counter, share); from < blocks; from = Atomics.add(words, counter, share))
        functions[kernel]!(places, from, Math.min(blocks, from + share));
      // Everybody is done with the other counter.
      cuts++;
      if (thread === 0) Atomics.store(words, counters + (cuts & 1), 0);
    } else if (thread === 0) {
      if (kernel >= 0) functions[kernel]!(places, 0, blocks);
      else new Uint8Array(words.buffer).copyWithin(script[at + 4]! >>> 0, places, places + blocks);
    }
    if (threads > 1 && Atomics.load(words, failed) !== 0) throw new Error("another thread failed"); // `otherFailed`
    told?.(at / 5, performance.now() - begin);
  }
  meet();
}
