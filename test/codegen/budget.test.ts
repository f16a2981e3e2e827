/** What the training step of the benchmark's llama may cost. Counts, never milliseconds. */
import { describe, expect, it } from "vitest";
import { cpuTarget, defaultTarget, generate } from "../../src/codegen/index.ts";
import { benchmarkSizes, trainingProgram } from "./training-program.ts";

const program = trainingProgram(benchmarkSizes);

describe.each([cpuTarget, defaultTarget])("training step on a $kind target", (target) => {
  const generated = generate(program.stages, program.storage, target);
  const { plan, kernels } = generated;
  const stage = (name: string) => plan.stages.find((s) => s.name === name)!;

  it("takes at most 130 dispatches, with AdamW, and no copies", () => {
    expect(stage("micro").dispatches.length + stage("update").dispatches.length).toBeLessThanOrEqual(130);
    expect([...stage("micro").copies, ...stage("update").copies]).toEqual([]);
  });

  it("has at most 45 distinct kernels", () => {
    expect(kernels.length).toBeLessThanOrEqual(45);
    const more = trainingProgram({ ...benchmarkSizes, layers: 6 });
    const again = generate(more.stages, more.storage, target);
    const used = (made: typeof generated): string[] => [
      ...new Set(made.plan.stages.find((s) => s.name === "micro")!.dispatches.map((d) => d.kernel)),
    ];
    expect(used(again)).toEqual(used(generated));
  });

  it("fits into 13 MB", () => {
    expect(plan.peakBytes).toBeLessThan(13e6);
  });

  it("stays within the default limits, and arena ranges of a dispatch do not overlap", () => {
    for (const d of plan.stages.flatMap((s) => s.dispatches)) {
      expect(d.bindings.length).toBeLessThanOrEqual(8);
      for (const [i, a] of d.bindings.entries()) {
        expect(a.offset % 256).toBe(0);
        for (const b of d.bindings.slice(i + 1)) {
          if (a.buffer !== b.buffer || (a.access === "read" && b.access === "read")) continue;
          expect(a.access).toBe(b.access);
          expect(a.offset + a.size <= b.offset || b.offset + b.size <= a.offset).toBe(true);
        }
      }
    }
  });

  it("is the same when it is generated again", () => {
    expect(JSON.stringify(generate(program.stages, program.storage, target))).toBe(JSON.stringify(generated));
  });
});
