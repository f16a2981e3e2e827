/** What is said of a name that a program does not have. */
import { WebpeftError } from "../ir/diagnostics.ts";

/** `INSPECT-UNKNOWN`, with the names that there are. */
export const unknownName = (what: string, given: string, known: readonly string[]): WebpeftError =>
  new WebpeftError("INSPECT-UNKNOWN", {
    message: `the program has no ${what} of that name`,
    expected: `one of ${[...new Set(known)].join(", ")}`,
    got: given,
  });

/** `INSPECT-UNKNOWN` for a stage that has no kernels; `known` are those that have. */
export const unknownStage = (given: string, known: readonly string[], also: readonly string[] = []): WebpeftError =>
  known.length > 0
    ? unknownName("stage with kernels", given, [...known, ...also])
    : new WebpeftError("INSPECT-UNKNOWN", {
        message:
          "a program that merges has no kernels of its own: every tensor is a program that is made when it is merged",
        help: "show its graphs (operator, tensor) or rules, or compile it to train or to infer",
      });
