/** Checks of token ids before they reach a device, which would read out of bounds. */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** What is wrong with a number that is no token. */
const messages: Readonly<Record<string, string>> = {
  task_ids: "the adapter has no such task",
  input_type_mask: "the role of a token is no whole number from 0 (-1 is padding)",
};

/** Throws `DATA-TOKEN-RANGE` for an id that the model, or the adapter's table of tasks, does not have. */
export function checkTokens(ids: ArrayLike<number>, vocabulary: number, where: string, also?: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (id === also || (Number.isInteger(id) && id >= 0 && id < vocabulary)) continue;
    throw new WebpeftError("DATA-TOKEN-RANGE", {
      message: messages[where] ?? "a token id is not in the model's vocabulary",
      where: `${where}[${i}]`,
      expected: `0 to ${vocabulary - 1}${also === undefined ? "" : `, or ${also}`}`,
      got: String(id),
    });
  }
}
