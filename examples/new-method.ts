/**
 * A method that is in no list, as a few lines of text. It trains, merges, saves and reloads like the built-in ones, because all of that is
 * derived from its formula. Run it with `npx unrun examples/new-method.ts`; the test runs the same function.
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import {
  Batches,
  compile,
  type DeviceName,
  loadModel,
  loadTokenizer,
  type Model,
  type SessionBatch,
  textExamples,
} from "webpeft";

export const twoSided = `
method two_sided on linear {
  config spread: float = 0 (minimum: 0) "how far from one a and b start";
  param a[out] = normal(1, spread) at "two_sided_a";
  param b[in]  = normal(1, spread) at "two_sided_b";
  W' = diag(a) @ W @ diag(b);
}`;

export interface NewMethodRun {
  readonly model: Model;
  /** The batch of a step. */
  readonly batch: (step: number) => SessionBatch;
  readonly size: { readonly batch: number; readonly length: number };
  readonly steps: number;
  /** Folder for the adapter. */
  readonly folder: string;
  readonly device: DeviceName;
}

/** Trains the method, then computes the logits of the first batch four ways: before, after, merged, and saved and reloaded. */
export async function trainNewMethod({ model, batch, size, steps, folder, device }: NewMethodRun) {
  const config = { target_modules: ["q_proj", "v_proj", "down_proj"], spread: 0.01 };
  const program = await compile(model, config, { ...size, method: twoSided });
  const session = await program.start({ device, seed: 1 });
  const before = (await session.forward(batch(0))).logits;
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) losses.push((await session.step(batch(step), { lr: 1e-2 })).loss);
  const trained = (await session.forward(batch(0))).logits;
  await session.save(folder);

  const plain = await (await compile(await session.merge(), null, { ...size, mode: "infer" })).start({ device });
  const merged = (await plain.forward(batch(0))).logits;
  plain.dispose();
  session.dispose();

  const saved = await compile(model, config, { ...size, method: twoSided, loaded: true, mode: "infer" });
  const reopened = await saved.start({ device, adapter: folder });
  const reloaded = (await reopened.forward(batch(0))).logits;
  reopened.dispose();
  return { program, losses, before, trained, merged, reloaded };
}

/** The largest difference of two arrays, as a part of the largest entry of the first. */
export function gap(a: Float32Array, b: Float32Array): number {
  const scale = a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) / scale;
}

/** The method on a model that has read the Bible, trained on Jane Austen. */
export async function adaptTinyLlama(folder: string, steps: number, device: DeviceName) {
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const read = (name: string) => readFile(file(`tiny-llama/${name}`), "utf8").catch(() => undefined);
  const tokenizer = await loadTokenizer(read, "examples/tiny-llama");
  const size = { batch: 4, length: 32 };
  const text = await readFile(file("data/austen-train.txt"), "utf8");
  const examples = textExamples(text, size.length, tokenizer).filter(({ ids }) => ids.length === size.length);
  const batches = new Batches(examples, { ...size, accumulate: 1, seed: 1, padToken: 0, shuffle: true });
  const model = await loadModel(file("tiny-llama"));
  return trainNewMethod({ model, batch: (step) => batches.step(step)[0]!, size, steps, folder, device });
}

// runners may call their copy of this file new-method.ts.<hash>.mjs
if (basename(process.argv[1] ?? "").startsWith("new-method.ts")) {
  const { losses, trained, merged, reloaded } = await adaptTinyLlama("out/two-sided", 20, "auto");
  console.log(`loss ${losses[0]!.toFixed(3)} -> ${losses.at(-1)!.toFixed(3)}`);
  console.log(`merged logits differ by ${gap(trained, merged)}, reloaded ones by ${gap(trained, reloaded)}`);
}
