/** Rows that are classified by their last end token (T5): which rows have one, and what is drawn for models that need one. */
import { describe, expect, it } from "vitest";
import { fixedBatch } from "../../src/cli/merge.ts";
import { compile } from "../../src/compile/index.ts";
import { drawnBatch } from "../../src/runtime/data/drawn.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { baseModel } from "../golden/helpers.ts";

const program = async (mask: boolean) =>
  compile(await baseModel("t5-cls"), null, { mode: "infer", batch: 2, length: 4, mask });

describe("a row that lacks the token at which it is read", () => {
  const both = [5, 6, 7, 1];
  const rows: readonly (readonly [string, number[], number[] | undefined, boolean])[] = [
    ["has one each", [...both, 5, 1, 0, 0], undefined, true],
    ["has several", [...both, 1, 6, 1, 1], undefined, true],
    ["has none", [...both, 5, 6, 7, 8], undefined, false],
    ["has none, and a mask that shows a part", [...both, 5, 6, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0], false],
    ["is padding alone", [...both, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0], true],
  ];

  it.each(rows)("%s", async (_what, input_ids, attention_mask, isTaken) => {
    const session = await (await program(attention_mask !== undefined)).start({ device: wasmExecutor() });
    const run = session.forward({ input_ids, ...(attention_mask && { attention_mask }) });
    if (isTaken) expect((await run).logits).toHaveLength(6);
    else
      await expect(run).rejects.toMatchObject({
        code: "DATA-BATCH",
        diagnostics: [{ where: "input_ids, row 1", expected: expect.stringContaining("token 1") as string }],
      });
    session.dispose();
  });

  it("is read at the last of several", async () => {
    const session = await (await program(false)).start({ device: wasmExecutor() });
    const logits = async (input_ids: number[]) => [...(await session.forward({ input_ids })).logits];
    const [first, second] = [await logits([5, 1, 7, 1, 5, 1, 7, 8]), await logits([5, 1, 7, 8, 5, 1, 7, 1])];
    // The decoder reads tokens shifted: at the second place both rows have seen the same, and the encoder has not.
    expect(first.slice(0, 3)).toEqual(second.slice(3));
    session.dispose();
  });

  it("is not drawn", async () => {
    const made = await program(true);
    for (const ids of [drawnBatch(made, 3).input_ids!, fixedBatch(made).input_ids!])
      for (let end = 3; end < ids.length; end += 4) expect(ids[end]).toBe(1);
  });
});
