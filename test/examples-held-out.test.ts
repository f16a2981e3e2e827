/** The number that the main example begins with: the base model's held-out loss, as PyTorch computed it. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Batches, compile, loadModel, loadTokenizer, textExamples, validationLoss } from "../src/index.ts";

const examples = (path: string): string => fileURLToPath(new URL(`../examples/${path}`, import.meta.url));
const text = (path: string): string => readFileSync(examples(path), "utf8");

it("is the reference's, over the first windows of the held-out Bible", async () => {
  const [batch, length] = [8, 64];
  const { windows, loss } = JSON.parse(text("tiny-llama/reference.json")).base_heldout.first;
  const tokenizer = await loadTokenizer(
    async (name) => (existsSync(examples(`tiny-llama/${name}`)) ? text(`tiny-llama/${name}`) : undefined),
    "tiny-llama",
  );
  const all = textExamples(text("data/kjv-heldout.txt"), length, tokenizer).filter(({ ids }) => ids.length === length);
  const plan = { batch, accumulate: 1, length, seed: 0, padToken: 0, shuffle: false };
  const program = await compile(await loadModel(examples("tiny-llama")), null, { mode: "infer", batch, length });
  const session = await program.start({ device: "cpu" });
  expect(await validationLoss(session, new Batches(all.slice(0, windows), plan))).toBeCloseTo(loss, 4);
  session.dispose();
});
