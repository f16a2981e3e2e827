/** Values between dispatches: where they are, when, and why. */
import { beforeAll, describe, expect, it } from "vitest";
import { alignUp, type KeptValue } from "../../src/codegen/plan.ts";
import type { Program } from "../../src/compile/program.ts";
import { adapters, compileAdapter, llama } from "../budgets/llama.ts";
import { part } from "../extent.ts";

const isTogether = (a: KeptValue, b: KeptValue): boolean =>
  a.buffer === b.buffer && a.first <= b.last && b.first <= a.last;
const overlaps = (a: KeptValue, b: KeptValue): boolean =>
  a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

describe.each(part(Object.keys(adapters), 6))("values of %s", (name) => {
  let program: Program;
  beforeAll(async () => {
    program = await compileAdapter(await llama(), name, {});
  });

  it("never share memory while they live", () => {
    for (const { values } of program.generated.values) {
      const clashes = values.flatMap((a, i) => values.slice(i + 1).filter((b) => isTogether(a, b) && overlaps(a, b)));
      expect(clashes).toEqual([]);
    }
  });

  it("fill the arena of the stage that needs most of it", () => {
    const inArena = program.generated.values.flatMap(({ values }) => values).filter(({ buffer }) => buffer === "arena");
    const end = Math.max(...inArena.map(({ offset, bytes }) => offset + bytes));
    const { bytes } = program.plan.buffers.find((buffer) => buffer.name === "arena")!;
    expect(alignUp(end, program.target.limits.minStorageBufferOffsetAlignment)).toBe(bytes);
  });

  it("are kept for the backward pass in training alone", () => {
    for (const { stage, values } of program.generated.values) {
      const { graph } = program.stages.find((made) => made.name === stage)!;
      const saved = values.filter(({ why }) => why === "saved for backward");
      // The backward pass of what parameters alone decide may keep some of it too.
      if (stage !== "parameters_backward") expect(saved.length > 0).toBe(stage === "micro");
      expect(saved.filter(({ node }) => graph.nodes[node]!.phase === "backward")).toEqual([]);
    }
  });
});
