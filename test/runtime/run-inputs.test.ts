/** The table of run-time inputs against the graphs of programs: every scalar that a stage reads is a row of it, and every row is read. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { portRole, ports } from "../../src/ir/graph.ts";
import { type RunInputName, runInputs } from "../../src/ir/run-inputs.ts";
import type { TensorType } from "../../src/ir/types.ts";
import { sliceOf } from "../../src/program/index.ts";
import { tinyModel } from "./tiny-model.ts";

const model = await tinyModel();
const target_modules = ["q_proj"];
const programs = await Promise.all(
  [
    { peft_type: "LORA", r: 2, lora_dropout: 0.5, target_modules },
    { peft_type: "ADALORA", target_r: 2, init_r: 2, total_step: 10, target_modules },
    { peft_type: "VBLORA", vb_r: 2, target_modules },
  ].map((config) => compile(model, config, { batch: 1, length: 4, accumulate: true })),
);

/** Scalars that the graphs are fed, with their types, and the stages that read them. */
const read = programs.flatMap(({ stages, adapter, storage }) =>
  stages.flatMap(({ name: stage, graph }) =>
    ports(graph).flatMap(({ name, node }) => {
      const { dtype, shape } = node.type as TensorType;
      const isScalar = portRole(node) === "input" && shape.length === 0 && !adapter!.settings.has(name);
      if (sliceOf(storage, name) !== undefined) return [];
      return isScalar ? [{ stage, name, dtype }] : [];
    }),
  ),
);

it("holds every scalar that a stage is fed", () => {
  for (const { stage, name, dtype } of read) {
    const row = runInputs[name as RunInputName];
    expect({ name, ...row }).toMatchObject({ name, dtype });
    expect(stage === "accumulate" || stage === "update" ? stage : "model").toBe(row.reader);
  }
});

it("holds no row that nothing reads", () => {
  const names = new Set(read.map(({ name }) => name));
  expect([...names].sort()).toEqual(Object.keys(runInputs).sort());
});
