/** Values of a step against f64: all that kernels store, on every executor that has kernels; what is wrong is found where it is made. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { dumpVersion, inspectionFiles } from "../../src/inspect/index.ts";
import type { Precision } from "../../src/program/precision.ts";
import { type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";
import type { Executor } from "../../src/runtime/executors/executor.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { type HostTensor, hostTensor, type TensorDtype, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { baseModel, loadCase } from "../golden/helpers.ts";

const lora = { peft_type: "LORA", r: 4, target_modules: ["q_proj", "v_proj"] };
const sizes = { batch: 2, length: 8 };

const allOf = ({ stages }: Precision) =>
  stages.flatMap(({ name: stage, nodes }) => nodes.map((node) => ({ stage, ...node })));
const most = (errors: readonly number[]): number => Math.max(...errors);

/** Everything that dispatches of a step store was compared, and is as near to f64 as f32 is. */
function expectNear(program: Program, precision: Precision): void {
  const compared = new Map(precision.stages.map(({ name, nodes }) => [name, new Set(nodes.map(({ node }) => node))]));
  expect([...compared.keys()]).toEqual(
    program.stages.map(({ name }) => name).filter((name) => !/^(forward|predict)/.test(name)),
  );
  for (const { stage, stored } of program.generated.parts) {
    const { nodes } = program.graph("tensor", stage as "micro");
    for (const id of compared.has(stage as "micro") ? stored.flat(2) : [])
      if (id < nodes.length) expect(compared.get(stage as "micro"), `${stage}/%${id}`).toContain(id);
  }
  expect(most(allOf(precision).map(({ error }) => error))).toBeLessThan(1e-5);
  expect(most(allOf(precision).map(({ own }) => own))).toBeLessThan(2e-6);
  // Nothing that could be wrong is zero.
  const zeros = allOf(precision).filter(({ magnitude }) => magnitude === 0);
  expect(zeros.length).toBeLessThan(0.1 * allOf(precision).length);
}

it.each(["llama-lora", "llama-oft", "llama-boft", "llama-xlora-depth1"])(
  "values of %s on the processor",
  async (name) => {
    const { model, adapter } = await loadCase(name);
    const program = await compile(model, adapter, { ...sizes, target: wasmTargetHere() });
    const experts = Object.fromEntries(adapter.experts ?? []);
    expectNear(program, await program.precision({ device: "cpu", experts }));
  },
);

it("micro-batches that are added up, and forward passes", async () => {
  const model = await baseModel("llama");
  const training = await compile(model, lora, { ...sizes, accumulate: true, target: wasmTargetHere() });
  expectNear(training, await training.precision({ device: "cpu", seed: 3 }));
  const program = await compile(model, lora, { ...sizes, mode: "infer", target: wasmTargetHere() });
  const { stages } = await program.precision({ device: "cpu" });
  expect(stages.map(({ name }) => name)).toContain("forward");
});

describe("on a WebGPU device", () => {
  let open: OpenDevice;
  beforeAll(async () => {
    open = await openDevice({ prefer: "webgpu" });
  });
  afterAll(() => open?.dispose());

  it("values of a step", async () => {
    const program = await compile(await baseModel("llama"), lora, { ...sizes, target: targetOf(open.target) });
    expectNear(program, await program.precision({ device: open }));
  });
});

/** The model as if its files held another type of numbers. */
const heldAs = (model: Model, dtype: TensorDtype): Model => ({
  ...model,
  weights: {
    ...model.weights,
    info: (key) => {
      const info = model.weights.info(key);
      return info && { ...info, dtype };
    },
  },
});

it.each(["BF16", "F16"] as const)("weights of %s are no error: f64 has the same numbers", async (dtype) => {
  const program = await compile(heldAs(await baseModel("llama"), dtype), lora, { ...sizes, target: wasmTargetHere() });
  expect(JSON.stringify(program.plan.weights)).toContain(dtype.toLowerCase());
  expectNear(program, await program.precision({ device: "cpu" }));
});

/** An executor that is given one weight a thousandth too large. */
function wrongAt(weight: string): Executor {
  const right = wasmExecutor();
  return {
    ...right,
    instantiate: (program, data, options) => {
      const source = data.get(weight) as () => Promise<HostTensor>;
      const wrong = async (): Promise<HostTensor> => {
        const tensor = await source();
        const numbers = toFloat32(tensor).map((x) => 1.001 * x);
        return hostTensor("F32", tensor.shape, numbers);
      };
      return right.instantiate(program, new Map(data).set(weight, wrong), options);
    },
  };
}

it.each(["model.layers.0.mlp.gate_proj", "model.layers.1.self_attn.o_proj"])(
  "a wrong number in %s is found in the node that it makes wrong",
  async (module) => {
    const weight = `${module}.weight`;
    const program = await compile(await baseModel("llama"), lora, { ...sizes, target: wasmTargetHere() });
    const inspected = await program.precision({ device: wrongAt(weight) });
    const { nodes } = program.graph("tensor", "micro");
    const wrong = allOf(inspected).filter(({ own }) => own > 1e-4);
    expect(wrong.length).toBeGreaterThan(0);
    const readsIt = (id: number, depth: number): boolean =>
      nodes[id]!.attributes.name === weight ||
      (depth > 0 && nodes[id]!.inputs.some((input) => readsIt(input, depth - 1)));
    for (const { stage, node } of wrong) {
      expect(stage).toBe("micro");
      expect(readsIt(node, 6), `%${node}`).toBe(true);
    }
    // What comes after it is wrong too, but not by its own kernel.
    const after = allOf(inspected).filter(({ stage, error }) => stage === "micro" && error > 1e-5);
    expect(after.length).toBeGreaterThan(wrong.length);
    expect(Math.min(...after.map(({ node }) => node))).toBe(Math.min(...wrong.map(({ node }) => node)));
  },
);

it("the error stands in the dump and the report", async () => {
  const program = await compile(await baseModel("llama"), lora, { ...sizes, target: wasmTargetHere() });
  const compared = await program.precision({ device: "cpu" });
  const files = inspectionFiles(program, { compared });
  expect(JSON.parse(files.get("precision.json")!)).toEqual({ version: dumpVersion, ...compared });
  expect(files.get("report.html")).toContain('"errors":');
  expect(inspectionFiles(program).has("precision.json")).toBe(false);
});

it("what is too large is refused with its figure, and so is what runs no kernels of its own", async () => {
  const program = await compile(await baseModel("llama"), lora, { ...sizes, target: wasmTargetHere() });
  await expect(program.precision({ device: "cpu", mostOperations: 1e5 })).rejects.toMatchObject({
    code: "PRECISION-SIZE",
    got: expect.stringMatching(/^0\.00\d+e9 operations/),
    help: expect.stringContaining("--length"),
  });
  for (const device of ["tfjs", "reference"] as const)
    await expect(program.precision({ device })).rejects.toMatchObject({ code: "MEASURE-DEVICE" });
});
