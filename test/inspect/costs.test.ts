/** What modules have of the work of dispatches. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { kernelRows, Trace } from "../../src/inspect/index.ts";
import { kernelHeaders } from "../../src/inspect/kernel-header.ts";
import { costsOfSites, sitesOfKernel, totalOf } from "../../src/inspect/page/costs.ts";
import { lastPart } from "../../src/inspect/page/format.ts";
import { ProgramModel } from "../../src/inspect/page/model.ts";
import { sitesOf } from "../../src/inspect/places.ts";
import { reportData } from "../../src/inspect/report-data.ts";
import { dispatchLabels } from "../../src/runtime/executors/webgpu/labels.ts";
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

it("is for the same modules wherever that is told", async () => {
  const config = { peft_type: "LORA", r: 4, use_dora: true, target_modules: ["q_proj", "v_proj", "down_proj"] };
  const program = await compile(await baseModel("llama"), config, { batch: 2, length: 8 });
  const { stages } = new ProgramModel(reportData(program));
  const labels = dispatchLabels(program, program.generated);
  const headers = kernelHeaders(program);
  const trace = new Trace(program);
  const rows = new Map(kernelRows(program, { stage: "micro" }).map((row) => [row.name, row]));
  for (const { name: stage, dispatches } of program.plan.stages)
    trace.add(dispatches.map((dispatch) => ({ stage, kernel: { name: dispatch.kernel }, dispatch, nanoseconds: 1 })));
  const events = (JSON.parse(trace.text()) as { traceEvents: { ph: string; args: { modules?: string } }[] })
    .traceEvents;
  const told = events.filter(({ ph }) => ph === "X").map(({ args }) => args.modules!.split(" ").filter(Boolean));
  let shared = 0;
  for (const stage of stages) {
    const planned = program.plan.stages.find(({ name }) => name === stage.name)!;
    for (const [at, dispatch] of planned.dispatches.entries()) {
      const modules = stage.scopesOf(at);
      expect(told.shift()).toEqual(modules);
      const label = labels.get(dispatch)!;
      if (modules.length === 0) expect(label).toBe(`${stage.name}: ${dispatch.kernel}`);
      for (const module of modules) expect(label).toContain(lastPart(module));
      if (modules.length > 1) shared++;
      const header = headers.get(dispatch.kernel)!;
      if (modules.length > 0) expect(header).toMatch(/^\/\/ for {8}\S/m);
      if (stage.name === "micro")
        expect(rows.get(dispatch.kernel)!.sites).toEqual(expect.arrayContaining(sitesOf(modules)));
    }
  }
  expect(told).toEqual([]);
  expect(shared).toBeGreaterThan(1);
});
