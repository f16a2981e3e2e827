/**
 * Work that may never end is stopped. A regular expression runs inside of the engine, where only another thread can interrupt it; Node has
 * such a thread for scripts with a time limit. Elsewhere the work runs without a limit.
 */

import { isNode } from "../files/folder.ts";

/** Says that work was stopped. */
export class TimeUp extends Error {
  override readonly name = "TimeUp";
  constructor(milliseconds: number) {
    super(`no end after ${Math.round(milliseconds / 1000)} s`);
  }
}

/** Runs `work`, and gives what it returns. Throws `TimeUp` when it takes more than `milliseconds`. */
export type TimeBudget = <T>(work: () => T, milliseconds: number) => T;

/** Milliseconds that work on a text may take: far more than any needs, on a machine that is busy with other things. */
export const textBudget = (characters: number): number => 2000 + characters / 5;

/** The budget of this machine. */
export async function timeBudget(): Promise<TimeBudget> {
  if (!isNode()) return (work) => work();
  const { createContext, Script } = await import("node:vm");
  const script = new Script("work()");
  const context: { work?: () => unknown } = createContext({});
  return <T>(work: () => T, milliseconds: number): T => {
    context.work = work;
    try {
      return script.runInContext(context, { timeout: Math.ceil(milliseconds) }) as T;
    } catch (cause) {
      const isTime = (cause as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
      throw isTime ? new TimeUp(milliseconds) : cause;
    } finally {
      delete context.work;
    }
  };
}
