/**
 * Random programs are computed alike everywhere: by f64 evaluation, by the interpreter of kernel IR, as WebAssembly, and on a device.
 * `npm run fuzz` tries 2,000 as WebAssembly and fewer where one takes longer; a run of all tests a tenth.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { sharedDevice } from "../shared-device.ts";
import { runsOr, seed } from "./helpers.ts";
import { compareBytes, compareProgram, type Engine, interpreters, onExecutor } from "./programs/compare.ts";
import { inStages } from "./programs/stages.ts";

/** Of `npm run fuzz`, or of a run of all tests. */
const runs = (most: number, few: number): number => Math.min(most, runsOr(few));
const minutes = 60_000;

/** The shortest begin of a program that fails is what is told. */
const checked = (numRuns: number, compare: (start: number, length: number) => Promise<void>): Promise<void> =>
  fc.assert(fc.asyncProperty(fc.noShrink(fc.nat(2 ** 31)), fc.integer({ min: 2, max: 24 }), compare), {
    seed,
    numRuns,
    includeErrorInReport: true,
  });

const check = (engine: Engine, numRuns: number): Promise<void> =>
  checked(numRuns, (start, length) => compareProgram(start, length, engine));

describe("random programs", () => {
  it("are right as WebAssembly", () => check(onExecutor(wasmExecutor(), 2 ** -20), runs(2_000, 80)), 10 * minutes);

  it.each(interpreters)("are right by the $name", (engine) => check(engine, runs(500, 20)), 10 * minutes);

  it(
    "are right in stages, where parameters decide something by themselves",
    async () => {
      let skipped = 0;
      const numRuns = runs(800, 60);
      await check(
        inStages(wasmExecutor(), 2 ** -20, () => skipped++),
        numRuns,
      );
      expect(numRuns - skipped).toBeGreaterThan(numRuns / 20);
    },
    10 * minutes,
  );

  it(
    "are the same bytes whatever the threads, and how large their shares",
    async () => {
      const [one, three] = [1, 3].map((threads) => onExecutor(wasmExecutor({ threads, cutsFrom: 0 }), 0));
      await checked(runs(300, 30), (start, length) => compareBytes(start, length, [one!, three!]));
    },
    10 * minutes,
  );

  it(
    "are right on the device",
    async () => {
      await check(onExecutor(webgpuExecutor(await sharedDevice()), 2 ** -14), runs(200, 3));
    },
    20 * minutes,
  );

  it("are told apart from wrong ones", async () => {
    const right = onExecutor(wasmExecutor(), 2 ** -20);
    const wrong: Engine = {
      ...right,
      run: async (program) => {
        const results = await right.run(program);
        return Object.fromEntries(Object.entries(results!).map(([k, v]) => [k, Array.from(v, (x) => x * 1.01 + 1e-3)]));
      },
    };
    await expect(check(wrong, 20)).rejects.toThrow("Again: await compareProgram(");
  });
});
