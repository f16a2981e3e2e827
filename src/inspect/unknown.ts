/** What is said of a name that a program does not have. */
import { WebpeftError } from "../ir/diagnostics.ts";

/** `INSPECT-UNKNOWN`, with the names that there are. */
export const unknownName = (what: string, given: string, known: readonly string[]): WebpeftError =>
  new WebpeftError("INSPECT-UNKNOWN", {
    message: `the program has no ${what} of that name`,
    expected: `one of ${[...new Set(known)].join(", ")}`,
    got: given,
  });
