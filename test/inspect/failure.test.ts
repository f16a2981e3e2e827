/** What is left of what failed: the error first, what was made before it, and what shows it again. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { defaultTarget, type Generated, generate, type Target } from "../../src/codegen/index.ts";
import { compile, compileAgain } from "../../src/compile/index.ts";
import { readReproduction, reproductionOf } from "../../src/compile/reproduction.ts";
import { failureFiles } from "../../src/inspect/index.ts";
import type { FailureRecord, ReportData } from "../../src/inspect/report-types.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { PassManager } from "../../src/passes/manager.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { qwenHalfB } from "../budgets/real-shapes.ts";
import { baseModel, loadCase } from "../golden/helpers.ts";

const folder = mkdtempSync(join(tmpdir(), "webpeft-failure-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"] };
const options = { batch: 2, length: 8 };

const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const recordIn = (files: ReadonlyMap<string, string>) => JSON.parse(files.get("error.json")!) as FailureRecord;

function reportIn(files: ReadonlyMap<string, string>): ReportData {
  const [, text] = /<script type="application\/json" id="data">(.*)<\/script>/.exec(files.get("report.html")!)!;
  return JSON.parse(text!) as ReportData;
}

it("kernels that cannot be made leave the graphs, and kernels and plan of the other stages", async () => {
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...qwenHalfB, num_hidden_layers: 1 }));
  const model = await loadModel(folder, { headersOnly: true });
  // More trained numbers in one tensor than a binding holds.
  const program = await compile(model, { ...lora, modules_to_save: ["embed_tokens"] }, options);
  const error = await thrown((async () => program.kernels)());
  expect(error).toMatchObject({ code: "CODEGEN-BINDING-LIMIT" });
  const files = failureFiles(error, { program });
  expect([...files.keys()].slice(0, 2)).toEqual(["error.txt", "error.json"]);
  expect(files.get("error.txt")).toMatch(/^error CODEGEN-BINDING-LIMIT: .*\n {2}where: /);
  const { stage, nodes, doing } = recordIn(files);
  const graph = program.graph("tensor", stage as "micro");
  expect(nodes!.every((id) => graph.nodes[id] !== undefined)).toBe(true);
  expect(doing[1]).toBe(`kernels of stage ${stage}`);
  const plan = JSON.parse(files.get("plan.json")!) as { stages: { name: string }[]; kernels: { file: string }[] };
  const planned = plan.stages.map(({ name }) => name);
  expect(planned).toEqual(program.stages.map(({ name }) => name).filter((name) => planned.includes(name)));
  expect(planned).toContain(stage);
  for (const { file } of plan.kernels) expect(files.get(file)).toContain("@compute");
  for (const name of ["graph.operator.ir", "graph.tensor.ir", "graph.json", "timeline.json"])
    expect(files.has(name), name).toBe(true);
  const { failure, stages } = reportIn(files);
  expect(failure).toMatchObject({ code: "CODEGEN-BINDING-LIMIT" });
  expect(stages.map(({ name }) => name)).toEqual(program.stages.map(({ name }) => name));
  const made = stages.find(({ name }) => name === failure!.stage)!;
  const own = made.dispatches.flatMap(({ parts }) => parts.flatMap((part) => part.stored));
  expect(own.filter((id) => nodes!.includes(id))).toEqual([]);
  // The kernel that could not be made, with what is too large for it.
  expect(failure!.values!.filter(({ role }) => role === "stores").length).toBe(nodes!.length);
  expect(Math.max(...failure!.values!.map(({ bytes }) => bytes))).toBeGreaterThan(2 ** 27);
  expect(files.get("error.txt")).toMatch(/ {2}stores: {3}.* : f32\[.*\], \d/);
});

describe("a schedule that fails in the middle of a stage", () => {
  const inverse: Target = {
    ...defaultTarget,
    limits: { ...defaultTarget.limits, maxComputeWorkgroupStorageSize: 256 },
  };
  const boft = { peft_type: "BOFT", boft_block_size: 8, target_modules: ["q_proj"] };

  it("leaves the kernels before it, as they are where nothing fails, and values in memory between them", async () => {
    const model = await baseModel("llama");
    const whole = await compile(model, boft, options);
    const program = await compile(model, boft, { ...options, target: inverse });
    const error = await thrown((async () => program.kernels)());
    expect(error).toMatchObject({ code: "CODEGEN-INVERSE-SIZE" });
    const files = failureFiles(error, { program });
    const { stage, nodes, values } = recordIn(files);
    expect(values!.map(({ role }) => role)).toEqual(expect.arrayContaining(["stores", "reads"]));
    const plan = JSON.parse(files.get("plan.json")!) as Generated["plan"] & Pick<Generated, "values">;
    const of = ({ stages }: Generated["plan"]) => stages.find(({ name }) => name === stage)!.dispatches;
    const made = of(plan);
    expect(made.length).toBeGreaterThan(0);
    expect(made.length).toBeLessThan(of(whole.plan).length);
    const computed = made.flatMap((dispatch) => dispatch.nodes);
    expect(computed.filter((id) => nodes!.includes(id))).toEqual([]);
    expect(plan.values.find((own) => own.stage === stage)!.values.length).toBeGreaterThan(0);
    for (const { kernel } of made) expect(files.get(`kernels/${kernel}.wgsl`)).toContain("@compute");
    // Other stages are there whole.
    for (const { name, dispatches } of whole.plan.stages)
      if (name === "update")
        expect(plan.stages.find((own) => own.name === name)!.dispatches.length).toBe(dispatches.length);
  });
});

describe("a pass that fails", () => {
  const failing = (rules: typeof algebraRules): string => {
    const rule = rules.find(({ name }) => name === "flatten-product") ?? rules[0]!;
    vi.spyOn(rule, "rewrite").mockImplementation(() => {
      throw new Error("a defect");
    });
    return rule.name;
  };

  it.each([
    ["algebra", algebraRules],
    ["simplify", simplifyRules],
  ])("of %s leaves its graph before, the passes before it, and names the rule and the node", async (pass, rules) => {
    const rule = failing(rules);
    const error = await thrown(compile(await baseModel("llama"), lora, options));
    const files = failureFiles(error);
    const record = recordIn(files);
    expect(record).toMatchObject({ code: "DEFECT", message: "a defect", pass, rule });
    expect(record.stack).toContain("a defect");
    const before = parseGraph(files.get("graph.before.ir")!);
    expect(before.nodes.length).toBeGreaterThan(record.nodes![0]!);
    expect(files.has("graph.after.ir")).toBe(false);
    const passes = (JSON.parse(files.get("timeline.json")!) as { pass: string }[]).map((entry) => entry.pass);
    expect(passes.length).toBeGreaterThan(0);
    expect(passes).not.toContain(pass);
    expect(reportIn(files).stages.map(({ name }) => name)).toContain(record.stage);
  });

  it("of the verifier also leaves what the pass made", async () => {
    const error = new WebpeftError("IR-VERIFY-TYPE", { message: "a node has another type" });
    const graph = (await compile(await baseModel("llama"), lora, options)).graph("tensor");
    const manager = new PassManager({
      verify: () => {
        throw error;
      },
      now: () => 0,
    });
    expect(() => manager.run("build", "micro", () => ({ graph }))).toThrow(error);
    expect(parseGraph(failureFiles(error).get("graph.after.ir")!).nodes.length).toBe(graph.nodes.length);
  });
});

describe("a reproduction", () => {
  it.each([
    ["a config that is wrong", { ...lora, r: -1 }],
    ["modules that are not there", { ...lora, target_modules: ["nothing"] }],
    ["a method that is unknown", { peft_type: "LARO", target_modules: ["q_proj"] }],
  ])("of %s shows the same error, from JSON without a weight", async (_what, config) => {
    const model = await baseModel("llama");
    const error = (await thrown(compile(model, config, options))) as WebpeftError;
    const text = JSON.stringify(reproductionOf(model, config, options));
    expect(text.length).toBeLessThan(20_000);
    const again = (await thrown(compileAgain(readReproduction(text, "reproduce.json")))) as WebpeftError;
    expect(error).toBeInstanceOf(WebpeftError);
    expect([again.code, again.message, again.where]).toEqual([error.code, error.message, error.where]);
  });

  it.each(["llama-lora", "llama-oft", "llama-xlora-depth1"])(
    "of %s, which was read from a folder, has the same graphs",
    async (name) => {
      const { model, adapter } = await loadCase(name);
      const whole = await compile(model, adapter, options);
      const text = JSON.stringify(reproductionOf(model, adapter, options));
      const again = await compileAgain(readReproduction(text, "reproduce.json"));
      expect(again.print("tensor")).toBe(whole.print("tensor"));
      expect(text).not.toMatch(/"(data|bytes)"/);
    },
  );

  it("of another version is refused", () => {
    expect(() => readReproduction('{"version": 0}', "x.json")).toThrow("no reproduction");
  });
});

it("the kernels and the plan are those that ran, made for the device", async () => {
  const program = await compile(await baseModel("llama"), lora, options);
  const targets: Target[] = [];
  const session = await program.start({ device: "cpu", onTarget: (target) => targets.push(target) });
  session.dispose();
  const [target] = targets;
  expect(target).toEqual(wasmTargetHere());
  const files = failureFiles(new WebpeftError("MODEL-ACTIVATION", { message: "something" }), { program, target });
  const { plan, kernels } = generate(program.stages, program.storage, target!);
  expect(JSON.parse(files.get("plan.json")!)).toMatchObject({ stages: JSON.parse(JSON.stringify(plan.stages)) });
  const written = [...files.keys()].filter((name) => name.endsWith(".wgsl"));
  expect(written).toEqual(kernels.map(({ name }) => `kernels/${name}.wgsl`));
  expect(files.has("kernels.wat")).toBe(true);
  expect(reportIn(files).stages.map(({ dispatches }) => dispatches.length)).toEqual(
    plan.stages.map(({ dispatches }) => dispatches.length),
  );
  // Those of the program itself, which nobody ran, are others.
  expect(failureFiles(new Error("something"), { program }).get("plan.json")).not.toBe(files.get("plan.json"));
});
