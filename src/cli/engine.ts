/**
 * A command runs most of the compiler a few times. V8 of Node 20 would spend as long on making that fast as all of it takes, so it is told to
 * wait for code that runs longer. Later ones have a compiler in between that costs little, and do not know the option.
 */
import { setFlagsFromString } from "node:v8";

/** Bytes of bytecode that a function runs before it is made fast: 135168 where nobody says otherwise. */
const budget = 1_000_000;

export function tuneEngine(): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((text) => text.includes("interrupt-budget"));
  if (process.version.startsWith("v20.") && !given) setFlagsFromString(`--interrupt-budget=${budget}`);
}
