/** What steps take, by dispatch: on every kind of clock, without weights, and together about as much as a step. */
import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { dumpVersion, inspectionFiles } from "../../src/inspect/index.ts";
import { type Measurement, measuredMs } from "../../src/program/measurement.ts";
import { batchInputs } from "../../src/runtime/data/batch.ts";
import { drawnBatch } from "../../src/runtime/data/drawn.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import type { MeasureOptions } from "../../src/runtime/session/measure.ts";
import { part } from "../extent.ts";
import { sharedDevice } from "../shared-device.ts";

const lora = { peft_type: "LORA", r: 4, target_modules: ["q_proj", "v_proj"] };
const bases = "test/fixtures/golden/bases";

let open: OpenDevice;
let model: Model;
beforeAll(async () => {
  open = await sharedDevice();
  const read = await loadModel(`${bases}/llama`, { headersOnly: true });
  const { weights } = read;
  model = { ...read, weights: { ...weights, read: (key) => Promise.reject(new Error(`${key} was read`)) } };
});

/** The same device, as if it had no timestamps. */
const withoutClock = (): OpenDevice => ({
  ...open,
  target: { ...open.target, features: (open.target.features ?? []).filter((name) => name !== "timestamp-query") },
});

const devices: Readonly<
  Record<Measurement["clock"], () => { device: MeasureOptions["device"]; target: Program["target"] }>
> = {
  processor: () => ({ device: "cpu", target: wasmTargetHere() }),
  device: () => ({ device: open, target: targetOf(open.target) }),
  outside: () => ({ device: withoutClock(), target: targetOf(withoutClock().target) }),
};

describe.each(["processor", "device", "outside"] as const)("by the clock of the %s", (clock) => {
  let program: Program;
  let measured: Measurement;
  beforeAll(async () => {
    const { device, target } = devices[clock]();
    program = await compile(model, lora, { batch: 4, length: 32, target });
    measured = await program.measure({ device });
  });

  it("every dispatch of a step has a time, and no other", () => {
    expect(measured).toMatchObject({ clock, warmUps: 2, runs: 5, seed: 0 });
    for (const { name, dispatches } of program.plan.stages) {
      const times = measured.stages.find((stage) => stage.name === name)!.dispatchMs;
      const isOfStep = program.stepStages.includes(name);
      expect(times.length).toBe(dispatches.length);
      for (const [i, ms] of times.entries()) {
        if (isOfStep && dispatches[i]!.always) expect(ms).toBeGreaterThanOrEqual(0);
        else expect(ms).toBeNull();
      }
    }
    expect(measuredMs(measured)).toBeGreaterThan(0);
  });

  it("stands in the dump, and in the report", () => {
    const files = inspectionFiles(program, { measured });
    expect(JSON.parse(files.get("measured.json")!)).toEqual({ version: dumpVersion, ...measured });
    const kernels = JSON.parse(files.get("kernels.json")!) as { readonly milliseconds: number }[];
    expect(kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0)).toBeCloseTo(measuredMs(measured), 6);
    expect(files.get("report.html")).toContain('"measured":{');
    expect(inspectionFiles(program).has("measured.json")).toBe(false);
  });

  it("the device's peak is some number of operations and bytes", () => {
    const { flopsPerSecond, bytesPerSecond, probe } = measured.peak;
    for (const rate of [flopsPerSecond, bytesPerSecond]) expect(rate / 1e9).toBeGreaterThan(0.01);
    expect(probe).toMatch(/product of \d+ × \d+ matrices.* vector of \d+ MiB/);
  });
});

// On a machine that does nothing else they come to 95 % and more of a step; here others may run between the two.
it.each(part(["processor", "device"] as const, 2))(
  "dispatches take about as long as a step, by the clock of the %s",
  async (clock) => {
    const { device, target } = devices[clock]();
    const program = await compile(model, lora, { batch: 8, length: 128, target });
    const shares: number[] = [];
    const isRight = (share: number): boolean => share > 0.7 && share <= 1.1;
    for (let turn = 0; turn < 4 && !shares.some(isRight); turn++) {
      const measured = await program.measure({ device });
      shares.push(measuredMs(measured) / measured.wholeMs);
    }
    expect(shares.some(isRight), String(shares)).toBe(true);
  },
);

it("forward passes are measured where nothing trains", async () => {
  const program = await compile(model, lora, { batch: 2, length: 8, mode: "infer", target: wasmTargetHere() });
  const { stages } = await program.measure({ device: "cpu", runs: 1, warmUps: 0 });
  expect(stages.find(({ name }) => name === "forward")!.dispatchMs).not.toContain(null);
});

it.each([
  ["tfjs", {}],
  ["cpu", {}],
  ["cpu", { mode: "merge", target: wasmTargetHere() }],
] as const)("%s is refused for %j", async (device, options) => {
  const program = await compile(model, lora, { batch: 1, length: 4, ...options });
  await expect(program.measure({ device })).rejects.toMatchObject({ code: "MEASURE-DEVICE" });
});

it.each(part(readdirSync(bases), 9))("a batch is drawn for %s, the same one from the same seed", async (name) => {
  const base = await loadModel(`${bases}/${name}`, { headersOnly: true });
  const program = await compile(base, null, { batch: 2, length: 4, mode: "infer" });
  const batch = drawnBatch(program, 3);
  expect(Object.keys(batchInputs(program, batch)).length).toBeGreaterThan(0);
  expect(drawnBatch(program, 3)).toEqual(batch);
});
