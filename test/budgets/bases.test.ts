/**
 * What a training step of LoRA costs on every golden base, as counts: repeated keys, work that is no longer fused and values that are kept for
 * nothing show on one family first. A count of `bases.json` that changes, in whatever direction, is a decision or a defect.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { part } from "../extent.ts";
import costs from "./bases.json" with { type: "json" };
import { type Cost, stepCost } from "./llama.ts";

const folder = fileURLToPath(new URL("../fixtures/golden/bases", import.meta.url));
const bases = readdirSync(folder).sort();
const lora = { peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: "all-linear" };
const known: Readonly<Record<string, Cost>> = costs;

describe("a training step costs what it did", () => {
  it.each(part(bases, 12))("on %s", async (base) => {
    const model = await loadModel(`${folder}/${base}`, { headersOnly: true });
    const cost = stepCost(await compile(model, lora, { batch: 2, length: 8 }));
    expect(cost, `a row of bases.json: "${base}": ${JSON.stringify(cost)}`).toEqual(known[base]);
  });

  it("of every golden base", () => {
    expect(Object.keys(costs)).toEqual(bases);
  });
});
