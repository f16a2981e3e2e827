/** What is told to turn a decision over does: a program of so many tokens decides it, one of a token less does not. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { flipsOf } from "../../src/passes/flips.ts";
import { loadModel } from "../../src/runtime/files/model.ts";

it("is exact where costs are no straight lines, and nothing where it goes there and back", () => {
  expect(flipsOf(10, (n) => (n >= 77 ? "b" : "a"))).toEqual([{ to: "b", side: "from", vectors: 77 }]);
  expect(flipsOf(100, (n) => (n >= 77 ? "b" : "a"))).toEqual([{ to: "a", side: "below", vectors: 77 }]);
  expect(flipsOf(10, (n) => (n >= 77 && n < 200 ? "b" : "a"))).toEqual([]);
  expect(flipsOf(10, () => "a")).toEqual([]);
});

const configs: readonly object[] = [
  { peft_type: "LORA", r: 8, target_modules: ["q_proj", "v_proj"] },
  { peft_type: "OFT", r: 0, oft_block_size: 32, target_modules: ["q_proj", "v_proj"] },
  { peft_type: "FOURIERFT", n_frequency: 100, target_modules: ["q_proj", "v_proj"] },
];

describe.each(configs)("of %o", (config) => {
  it("is decided so at that number, and not next to it", { timeout: 120_000 }, async () => {
    const model = await loadModel("examples/tiny-llama");
    const decisions = async (tokens: number) => {
      const { timeline } = await compile(model, config, { batch: tokens, length: 1 });
      return timeline.flatMap(({ stage, notes }) => notes.map((note) => ({ ...note, stage })));
    };
    const first = (await decisions(64)).filter(({ scope, flips }) => scope.includes("layers.0") && flips !== undefined);
    expect(first.length).toBeGreaterThan(0);
    const at = async (tokens: number, { stage, scope }: { readonly stage: string; readonly scope: string }) =>
      (await decisions(tokens)).find((own) => own.stage === stage && own.scope === scope)!.decision;
    for (const note of first) {
      // Without such a number it is decided the same for few tokens and for many.
      if (note.flips!.length === 0)
        expect([await at(1, note), await at(4096, note)]).toEqual([note.decision, note.decision]);
      for (const { to, side, vectors } of note.flips!) {
        const [there, here] = side === "from" ? [vectors - 1, vectors] : [vectors, vectors - 1];
        expect([await at(there, note), await at(here, note)]).toEqual([note.decision, to]);
      }
    }
  });
});
