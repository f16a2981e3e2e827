// The main job on a small model, from checkpoint to merged weights: `npm start`, or
// `node examples/start.mjs [method] [--device auto|webgpu|cpu|tfjs] [--steps N] [--lr X]` with a method of `examples/configs`.
// It adapts a model that has read the King James Bible to the prose of Jane Austen, proves that merging changes nothing, and leaves the
// adapter, the merged model and everything the compiler made in `out/start/`.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import {
  Batches,
  compile,
  formatDiagnostic,
  generateText,
  inspectionFiles,
  loadModel,
  loadTokenizer,
  openDevice,
  padBatch,
  saveModel,
  targetOf,
  textExamples,
  validationLoss,
  WebpeftError,
  wasmTargetHere,
  webgpuExecutor,
} from "../dist/index.js";

// V8 of Node 20 would optimise what runs briefly, for as long as all of it takes; the command says the same.
if (process.version.startsWith("v20.")) setFlagsFromString("--interrupt-budget=1000000");

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "out", "start");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: "string", default: "auto" },
    steps: { type: "string", default: "15" },
    lr: { type: "string" },
  },
});
const method = positionals[0] ?? "oft";
// What scales or mixes fixed matrices takes larger steps, and learns less in so few.
const rates = { ia3: 0.03, vera: 0.05, fourierft: 0.03 };
const leastFall = method in rates ? 0.2 : 0.5;
const [batch, length, steps, lr] = [8, 64, Number(values.steps), Number(values.lr ?? rates[method] ?? 0.004)];
const began = performance.now();
const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
const say = (text = "") => console.log(text);
const nat = (x) => x.toFixed(3);

/** Throws `EXAMPLE-OPTION` for a value that is none of those that are possible. */
function oneOf(possible, name, got) {
  if (possible.includes(got)) return got;
  const message = `there is no such ${name}`;
  throw new WebpeftError("EXAMPLE-OPTION", { message, expected: possible.join(", "), got });
}

/** What `--device` stands for: what runs it, what kernels are made for, and why where there is no GPU. */
async function choose(prefer) {
  if (prefer === "tfjs") return { device: "tfjs", why: "as you asked" };
  if (prefer === "cpu") return { device: "cpu", target: wasmTargetHere(), why: "as you asked" };
  try {
    const open = await openDevice({ prefer });
    const target = targetOf(open.target);
    return { device: webgpuExecutor(open, { target }), target, open }; // one executor, so that all programs share compiled kernels
  } catch (error) {
    if (prefer === "auto" && error instanceof WebpeftError && error.code === "DEVICE-NONE")
      return { device: "cpu", target: wasmTargetHere(), why: error.message };
    throw error;
  }
}

/** A session of one row with the adapter as it is now: for text, which needs no more rows, and for the proof that merging changes nothing. */
const oneRow = async (program, session, device) =>
  program.start({ device, adapter: Object.fromEntries(await session.files()) });

async function write(program, session, tokenizer, device) {
  const writer = await oneRow(program, session, device);
  const text = await generateText(writer, tokenizer, "It was a truth", { maxTokens: 24, seed: 7, temperature: 0.8 });
  writer.dispose();
  return text;
}

/** Mean loss over the first windows of a text: exactly what reference.json holds for 64 windows. */
const heldOutLoss = (session, examples) =>
  validationLoss(
    session,
    new Batches(examples, { batch, accumulate: 1, length, seed: 0, padToken: 0, shuffle: false }),
  );

async function main() {
  const configs = (await readdir(join(here, "configs"))).map((name) => name.replace(/\.json$/, ""));
  oneOf(configs, "method", method);
  const { device, target, open, why } = await choose(oneOf(["auto", "webgpu", "cpu", "tfjs"], "device", values.device));
  const read = (name) => readFile(join(here, "tiny-llama", name), "utf8").catch(() => undefined);
  const tokenizer = await loadTokenizer(read, "examples/tiny-llama");
  const windows = async (file, limit) => {
    const text = await readFile(join(here, "data", file), "utf8");
    return textExamples(text, length, tokenizer)
      .filter((e) => e.ids.length === length)
      .slice(0, limit);
  };
  const training = await windows("austen-train.txt");
  const reference = JSON.parse(await read("reference.json"));
  const config = JSON.parse(await readFile(join(here, "configs", `${method}.json`), "utf8"));
  const model = await loadModel(join(here, "tiny-llama"));

  const program = await compile(model, config, { batch, length, ...(target && { target }) });
  const session = await program.start({ device, seed: 1 });
  const trained = program.adapter.tensors
    .filter((t) => t.role === "param")
    .reduce((sum, t) => sum + t.shape.reduce((p, n) => p * n, 1), 0);
  say(`webpeft: ${method} on examples/tiny-llama`);
  say(`  ${session.device}${why === undefined ? "" : `; ${why}`}`);
  say(
    `  ${program.adapter.sites.length} adapted layers, ${trained.toLocaleString("en")} trained numbers, ${training.length} windows of ${length} tokens`,
  );
  if (session.deviceBytes !== undefined)
    say(
      `  ${program.kernels.length} kernels, ${program.plan.stages.reduce((n, s) => n + s.dispatches.length, 0)} dispatches, ${(session.deviceBytes / 2 ** 20).toFixed(1)} MiB of memory`,
    );

  const batches = new Batches(training, { batch, accumulate: 1, length, seed: 1, padToken: 0, shuffle: true });
  const { loss: first } = await session.gradients(batches.step(0)[0]);
  say(`\nThe loss of the first training batch: ${nat(first)}   [${seconds()}]`);

  const [bible, heldOut] = [await windows("kjv-heldout.txt", 64), await windows("austen-heldout.txt", 64)];
  // Nothing is folded into weights here, so that this program and the merged model agree only if merging is right.
  const row = { mode: "infer", batch: 1, length, ...(target && { target }) };
  const single = await compile(model, config, { ...row, loaded: true, fold: false });
  const own = await heldOutLoss(session, bible);
  say(
    `The base model on held-out Bible: ${nat(own)} nat per token (a trigram model: ${nat(reference.base_heldout.first.trigram_loss)})`,
  );
  const before = await heldOutLoss(session, heldOut);
  say(`The base model on held-out Austen: ${nat(before)}   [${seconds()}]`);
  say(`\nBefore: ${await write(single, session, tokenizer, device)}   [${seconds()}]\n`);

  for (let step = 0; step < steps; step++) {
    const start = performance.now();
    const result = await session.step(batches.step(step), { lr });
    const ms = performance.now() - start;
    if (step % 5 === 0 || step === steps - 1) {
      say(
        `  step ${String(step).padStart(3)}  loss ${nat(result.loss)}  gradient norm ${nat(result.gradNorm)}  ${ms.toFixed(0)} ms   [${seconds()}]`,
      );
    }
  }
  const after = await heldOutLoss(session, heldOut);
  say(`\nHeld-out Austen: ${nat(before)} -> ${nat(after)}, ${nat(before - after)} nat less   [${seconds()}]`);
  say(`\nAfter: ${await write(single, session, tokenizer, device)}   [${seconds()}]\n`);

  await rm(out, { recursive: true, force: true });
  await session.save(join(out, "adapter"));
  await saveModel(await session.merge(), join(out, "merged"));
  const rows = padBatch(heldOut.slice(0, 1), 1, length, 0);
  const adapted = await oneRow(single, session, device);
  const unmerged = (await adapted.forward(rows)).logits;
  adapted.dispose();
  session.dispose();
  const plain = await (await compile(await loadModel(join(out, "merged")), null, row)).start({ device });
  const merged = (await plain.forward(rows)).logits;
  plain.dispose();
  open?.dispose();
  const scale = unmerged.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  const gap = unmerged.reduce((m, x, i) => Math.max(m, Math.abs(x - merged[i])), 0);
  say(
    `Merged into plain bf16 weights: the largest logit moves by ${gap.toFixed(4)} of ${scale.toFixed(1)} (bf16 keeps 8 bits)   [${seconds()}]`,
  );

  const folder = join(out, "inspect");
  for (const [name, text] of inspectionFiles(program)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  say(
    `\nout/start/adapter   the adapter, as PEFT reads it\nout/start/merged    the merged model, as transformers reads it\nout/start/inspect   ${device === "cpu" ? "kernels.wat" : "kernels/*.wgsl"}, plan.json, graphs; open out/start/inspect/report.html   [${seconds()}]`,
  );
  // NaN fell by nothing.
  if (!(before - after >= leastFall))
    throw new WebpeftError("EXAMPLE-LOSS", {
      message: "the held-out loss did not fall as it should",
      expected: `at least ${leastFall} nat`,
      got: nat(before - after),
    });
}

main().catch((error) => {
  console.error(error instanceof WebpeftError ? error.diagnostics.map(formatDiagnostic).join("\n") : error);
  process.exitCode = 1;
});
