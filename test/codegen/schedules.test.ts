/** The list of schedules: names of their own, and each is the choice for something. */
import { expect, it } from "vitest";
import { arrange, cpuTarget, defaultTarget, wasmTarget } from "../../src/codegen/index.ts";
import { schedules } from "../../src/codegen/schedule/index.ts";
import { opRecord } from "../../src/ir/registry.ts";
import { noStorage, sampleGraph } from "../runtime/executor-samples.ts";
import { loraForward, rmsNormGraph } from "./graphs.ts";

it("have names of their own", () => {
  expect(new Set(schedules.map(({ name }) => name)).size).toBe(schedules.length);
});

it("are each chosen for some unit, as the cheapest of those that were compared", () => {
  const samples = ["inverse", "scatter_add", "tanh"].map(opRecord);
  const graphs = [
    ...samples.map((record) => sampleGraph(record, record.samples!()[0]!)),
    loraForward(512, 512, 8),
    rmsNormGraph(64, 128),
  ];
  const targets = [cpuTarget, defaultTarget, { ...defaultTarget, features: ["subgroups"] }, wasmTarget];
  const choices = targets.flatMap((target) =>
    graphs.flatMap((graph) =>
      arrange([{ name: "forward", graph }], noStorage, target).steps[0]!.bodies.map(({ choice }) => choice),
    ),
  );
  expect(new Set(choices.map(({ chosen }) => chosen))).toEqual(new Set(schedules.map(({ name }) => name)));
  const compared = choices.filter(({ candidates }) => Object.keys(candidates).length > 0);
  for (const { chosen, candidates } of compared)
    expect(candidates[chosen]).toBe(Math.min(...Object.values(candidates)));
});
