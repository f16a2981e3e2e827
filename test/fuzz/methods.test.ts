/**
 * Methods of random texts on small models: loss and gradients as WebAssembly are those of f64 evaluation. `npm run fuzz` tries 200, a run of all tests ten.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { sharedDevice } from "../shared-device.ts";
import { llamaOf, runsOr, seed } from "./helpers.ts";
import { randomMethod } from "./programs/methods.ts";

/** Most that a number may be off by, relative to the largest of its tensor. */
const tolerance = 2e-4;

const [oracle, wasm] = [referenceExecutor({ storage: "f64" }), wasmExecutor({ threads: 1 })];

/** The code of the error that refuses the text; nothing where both executors agree. Throws where they do not, with how to see it again. */
async function compareMethod(start: number, depth: number, executor: Executor = wasm): Promise<string | undefined> {
  const { text, sizes } = randomMethod(start, depth);
  const { batch, length, ...model } = sizes;
  const again = `Again: await compareMethod(${start}, ${depth})\n${text}\n${JSON.stringify(sizes)}`;
  const refuse = (why: string, cause?: unknown): Error => new Error(`${why}\n${again}`, { cause });
  const ids = Int32Array.from({ length: batch * length }, (_unused, i) => (i * 7 + 3) % sizes.vocabulary);
  const gradientsOn = async (device: Executor) => {
    const options = { method: text, methodFile: "random", batch, length };
    const program = await compile(await llamaOf(model), { target_modules: ["q_proj", "v_proj"] }, options);
    const session = await program.start({ device, seed: 1 });
    const results = await session.gradients({ input_ids: ids, labels: ids });
    session.dispose();
    return results;
  };
  const results = await Promise.all([gradientsOn(oracle), gradientsOn(executor)]).catch((error: unknown) => {
    if (error instanceof WebpeftError) return error.code;
    throw refuse(`throws ${error}`, error);
  });
  if (typeof results === "string") return results;
  const [want, got] = results;
  const close = (a: number, b: number, scale: number): boolean => Math.abs(a - b) <= tolerance * scale;
  if (!close(got.loss, want.loss, Math.abs(want.loss))) throw refuse(`the loss is ${got.loss} instead of ${want.loss}`);
  for (const [key, values] of Object.entries(want.gradients)) {
    const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
    const at = values.findIndex((x, i) => !close(got.gradients[key]![i]!, x, scale));
    if (at >= 0) throw refuse(`the gradient of ${key}[${at}] is ${got.gradients[key]![at]} instead of ${values[at]}`);
  }
  return undefined;
}

const cases = [fc.noShrink(fc.nat(2 ** 31)), fc.integer({ min: 0, max: 3 })] as const;

describe("methods of random texts", () => {
  it("have the gradients of f64 evaluation as WebAssembly", async () => {
    const refused = new Map<string, number>();
    const numRuns = Math.min(200, runsOr(10));
    await fc.assert(
      fc.asyncProperty(...cases, async (start, depth) => {
        const code = await compareMethod(start, depth);
        if (code !== undefined) refused.set(code, (refused.get(code) ?? 0) + 1);
      }),
      { seed, numRuns, includeErrorInReport: true },
    );
    const sum = [...refused.values()].reduce((a, b) => a + b, 0);
    expect(sum / numRuns, JSON.stringify([...refused])).toBeLessThan(0.2);
  }, 1_200_000);

  it("have them on the device", async () => {
    const device = webgpuExecutor(await sharedDevice());
    const compare = async (start: number, depth: number): Promise<void> =>
      void (await compareMethod(start, depth, device));
    await fc.assert(fc.asyncProperty(...cases, compare), {
      seed,
      numRuns: Math.min(20, runsOr(1)),
      includeErrorInReport: true,
    });
  }, 1_200_000);

  it("are told apart from wrong ones", async () => {
    const broken: Executor = {
      ...wasm,
      instantiate: async (program, data, options) => {
        const larger = [...data].map(
          ([name, source]) =>
            [name, /P\d+$/.test(name) ? (source as Float32Array).map((x) => 1.5 * x) : source] as const,
        );
        return wasm.instantiate(program, new Map(larger), options);
      },
    };
    await expect(compareMethod(3, 1, broken)).rejects.toThrow("Again: await compareMethod(3, 1)");
  });
});
