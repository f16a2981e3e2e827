/**
 * Work that may never end is stopped. A regular expression of a tokenizer runs inside of the engine, where only another thread can interrupt
 * it; Node has such a thread for scripts with a time limit. Elsewhere the work runs without a limit.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** Runs `work`, and gives what it returns. Throws `DATA-TOKENIZER-TIME` when it takes more than `milliseconds`. */
export type TimeBudget = <T>(work: () => T, milliseconds: number) => T;

const hasNode = (): boolean => typeof process === "object" && typeof process.versions?.node === "string";

/** What a tokenizer may take for a text: far more than any needs, on a machine that is busy with other things. */
export const tokenizerBudget = (text: string): number => 2000 + text.length / 5;

/** The budget of this machine; `where` is the file whose work it is. */
export async function timeBudget(where: string): Promise<TimeBudget> {
  if (!hasNode()) return (work) => work();
  const { createContext, Script } = await import("node:vm");
  const script = new Script("work()");
  const context: { work?: () => unknown } = createContext({});
  return <T>(work: () => T, milliseconds: number): T => {
    context.work = work;
    try {
      return script.runInContext(context, { timeout: Math.ceil(milliseconds) }) as T;
    } catch (cause) {
      if ((cause as { code?: unknown } | null)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw cause;
      throw new WebpeftError(
        "DATA-TOKENIZER-TIME",
        {
          message: "the tokenizer does not come to an end with a text, and was stopped",
          where,
          expected: "regular expressions that end",
          got: `no end after ${Math.round(milliseconds / 1000)} s`,
          help: "A regular expression with one repetition inside of another, like (a+)+, takes forever on texts that it does not match.",
        },
        { cause },
      );
    } finally {
      delete context.work;
    }
  };
}
