/** The step that every device is asked before its first session. */
import { describe, expect, it } from "vitest";
import { defaultTarget, generate, wasmTarget } from "../../src/codegen/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import { expectedNumbers, selfTest, selfTestNumbers, selfTestProgram } from "../../src/runtime/executors/self-test.ts";
import { tfjsExecutor } from "../../src/runtime/executors/tfjs/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";

/** An executor whose results are off by a factor from some place on. */
function wrong(factor: number): Executor {
  const right = wasmExecutor();
  return {
    ...right,
    description: `wrong by ${factor}`,
    instantiate: async (...given) => {
      const instance = await right.instantiate(...given);
      const run: typeof instance.run = async (...asked) => {
        const results = await instance.run(...asked);
        results.params = results.params!.map((x, i) => (i < 500 ? x : x * factor));
        return results;
      };
      return new Proxy(instance, {
        get: (target, name) => {
          if (name === "run") return run;
          const member: unknown = Reflect.get(target, name);
          return typeof member === "function" ? member.bind(target) : member;
        },
      });
    },
  };
}

describe("the step that devices are tested by", () => {
  it("has the numbers of f64 evaluation", async () => {
    const numbers = await selfTestNumbers(referenceExecutor({ storage: "f64" }));
    for (const [name, value] of Object.entries(expectedNumbers))
      expect(numbers[name as keyof typeof numbers], name).toBeCloseTo(value, 5);
  });

  it("is right as WebAssembly and on TensorFlow.js, in f32", async () => {
    for (const executor of [wasmExecutor(), await tfjsExecutor({ backend: "wasm" })]) {
      const numbers = await selfTestNumbers(executor);
      for (const [name, value] of Object.entries(expectedNumbers))
        expect(numbers[name as keyof typeof numbers], name).toBeCloseTo(value, 4);
    }
  });

  it.each([
    [wasmTarget, ["contract_panel", "map", "rows", "scatter"]],
    [defaultTarget, ["contract", "map", "rows", "scatter"]],
  ] as const)("has kernels of every kind", (target, kinds) => {
    const { stages, storage } = selfTestProgram();
    const names = generate(stages, storage, target).kernels.map(({ name }) => name);
    for (const kind of kinds)
      expect(
        names.some((name) => name.startsWith(kind)),
        `${kind} in ${names}`,
      ).toBe(true);
  });

  it("refuses a device that gets it wrong, and names it", async () => {
    await selfTest(wasmExecutor());
    await selfTest({ ...wrong(2), testsItself: false });
    await expect(selfTest(wrong(2))).rejects.toMatchObject({
      code: "DEVICE-SELF-TEST",
      where: "wrong by 2",
      expected: expect.stringContaining("within"),
    });
    await expect(selfTest(wrong(Number.NaN))).rejects.toMatchObject({ code: "DEVICE-SELF-TEST" });
  });
});
