/** What modules have of the work of dispatches. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { costsOfSites, sitesOfKernel, totalOf } from "../../src/inspect/page/costs.ts";
import { lastPart } from "../../src/inspect/page/format.ts";
import { ProgramModel } from "../../src/inspect/page/model.ts";
import { reportData } from "../../src/inspect/report-data.ts";
import { baseModel } from "../golden/helpers.ts";

it("is shared by their flops, whoever stores the results", async () => {
  const config = { peft_type: "LORA", r: 4, target_modules: ["q_proj", "k_proj", "v_proj"] };
  const program = await compile(await baseModel("llama"), config, { batch: 2, length: 8 });
  const { stages } = new ProgramModel(reportData(program));
  const costs = costsOfSites(stages);
  const [gate, up, down] = ["gate_proj", "up_proj", "down_proj"].map(
    (name) => [...costs].find(([site]) => site.endsWith(`layers.0.mlp.${name}`))![1].flops,
  ) as [number, number, number];
  expect(up / gate).toBeCloseTo(1, 1);
  expect(down / gate).toBeCloseTo(1, 1);
  const sum = [...costs.values()].reduce((total, { flops }) => total + flops, 0);
  // What belongs to no module, as the loss, is the rest.
  expect(sum / totalOf(stages).flops).toBeGreaterThan(0.95);
  expect(sum).toBeLessThanOrEqual(totalOf(stages).flops);
  const q = stages.find(({ name }) => name === "micro")!;
  const kernels = q.dispatches.flatMap(({ kernel }, at) =>
    q.scopesOf(at).some((scope) => scope.endsWith("k_proj")) ? [kernel] : [],
  );
  for (const kernel of kernels) expect(sitesOfKernel(stages, kernel).map(lastPart)).toContain("k_proj");
  expect(kernels.length).toBeGreaterThan(1);
});
