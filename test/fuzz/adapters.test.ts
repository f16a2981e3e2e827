/** Adapter folders whose files were changed: they are refused with a code, or compute numbers, which are the same again once saved. */
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { configsOf, readAdapter } from "../../src/runtime/files/adapter.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { encodeSafetensors, openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { fromFloat32, type HostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import { difference, generator } from "../runtime/executor-samples.ts";
import { apply, type Change, changes } from "./adapter-mutations.ts";
import { adapters } from "./adapters.ts";
import type { Files } from "./checkpoint-mutations.ts";
import { batch, refusedOrRight, runsOr, seed, tinyLlama } from "./helpers.ts";

const runs = runsOr(150);
let model: Model;
/** A sound adapter of every method, with drawn numbers. */
const sound = new Map<string, Files>();

/** The files with noise on what trains: much of a fresh adapter is zero, and shows nothing. */
async function noisy(files: Files): Promise<Files> {
  for (const [path, bytes] of files) {
    if (!path.endsWith(".safetensors")) continue;
    const file = await openSafetensors(bytesSource(path, bytes));
    const tensors = new Map<string, HostTensor>();
    for (const key of file.tensors.keys()) {
      const tensor = await file.read(key);
      // Drawn anew for each: what is in the file under two keys stays equal.
      const random = generator(5);
      const shaken = (): HostTensor =>
        fromFloat32(
          toFloat32(tensor).map((x) => x + 0.1 * (random() - 0.5)),
          "F32",
          tensor.shape,
        );
      tensors.set(key, tensor.dtype === "F32" && !/vera_[AB]|basis|lambda_mask/.test(key) ? shaken() : tensor);
    }
    files.set(path, encodeSafetensors(tensors));
  }
  return files;
}

const programs = new Map<string, Program>();

/** The session of an adapter. What is compiled depends on the configs and on the names and shapes of the tensors. */
async function started(files: Files): Promise<Session> {
  const adapter = await readAdapter(Object.fromEntries(files));
  const shapes = [...adapter.tensors.tensors].map(([key, { shape }]) => [key, shape]);
  const key = JSON.stringify([configsOf(adapter), shapes]);
  if (programs.size > 200) programs.clear();
  const program = programs.get(key) ?? (await compile(model, adapter, { mode: "infer", batch: 1, length: 4 }));
  programs.set(key, program);
  return program.start({ device: "cpu", adapter });
}

async function logits(files: Files): Promise<{ numbers: Float32Array; saved: Files }> {
  const session = await started(files);
  try {
    const input = {
      ...batch,
      ...(session.program.adapter?.inputs.some(({ name }) => name === "task_ids") && { task_ids: [0] }),
    };
    const { logits: numbers } = await session.forward(input);
    return { numbers, saved: await session.files() };
  } finally {
    session.dispose();
  }
}

/** `await tried("lora", changes, again)`: the adapter with these changes, and once more as it was saved. To be pasted from a run that failed. */
async function tried(name: string, list: readonly Change[], again: boolean): Promise<void> {
  const files = new Map(sound.get(name));
  for (const change of list) await apply(files, change);
  const { numbers, saved } = await logits(files);
  expect(numbers.every(Number.isFinite)).toBe(true);
  if (again) expect(difference((await logits(saved)).numbers, numbers)).toBeLessThan(1e-5);
}

beforeAll(async () => {
  model = await tinyLlama();
  for (const [name, { config, experts }] of Object.entries(adapters)) {
    const configs = Object.fromEntries(
      [...Object.keys(experts ?? {})].map((key) => [key, adapters[experts![key]!]!.config]),
    );
    const program = await compile(model, config, { mode: "infer", batch: 1, length: 4, experts: configs });
    const given = Object.entries(experts ?? {}).map(([key, of]) => [key, Object.fromEntries(sound.get(of)!)]);
    const session = await program.start({ device: "cpu", seed: 3, experts: Object.fromEntries(given) });
    sound.set(name, await noisy(await session.files()));
    session.dispose();
  }
});

it("adapters without a change compute, and are saved as they are", async () => {
  for (const name of sound.keys()) await tried(name, [], true);
});

it(`${runs} changed adapters`, { timeout: 60_000 + runs * 1000 }, async () => {
  const codes = new Map<string, number>();
  const names = fc.constantFrom(...Object.keys(adapters));
  const lists = fc.array(changes, { minLength: 1, maxLength: 3 });
  const oneInFour = fc.nat(3).map((n) => n === 0);
  const property = fc.asyncProperty(names, lists, oneInFour, async (name, list, again) => {
    const pasteable = `await tried(${JSON.stringify(name)}, ${fc.stringify(list)}, ${again})`;
    const code = (await refusedOrRight(pasteable, () => tried(name, list, again))) ?? "computes";
    codes.set(code, (codes.get(code) ?? 0) + 1);
  });
  await fc.assert(property, { seed, numRuns: runs });
  // A generator of nothing but refusals, or of one, would show nothing.
  expect(codes.get("computes")).toBeGreaterThan(runs / 10);
  expect(codes.size).toBeGreaterThan(10);
});

it("what is not finite is named", async () => {
  const huge: Change[] = [{ tensor: 0, file: 0, fill: 3e38, from: 0, to: 0.9999 }];
  await expect(tried("bone", huge, false)).rejects.toMatchObject({
    code: "RESULT-NOT-FINITE",
    message: expect.stringContaining("was the first to give a NaN or an infinity") as string,
  });
});
