/** Options that all commands take, as they are given to them. */
import type { DebugOutput } from "./debug.ts";
import type { FailureDump } from "./failure-dump.ts";
import type { PrintOptions } from "./output.ts";

export interface GlobalOptions extends PrintOptions {
  readonly debug: DebugOutput;
  /** What was made, if the command fails. */
  readonly failure: FailureDump;
}
