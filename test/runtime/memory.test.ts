/** The memory that is forecast before anything is loaded is what instances count when they have done their work. */
import { describe, expect, it, vi } from "vitest";
import { type CompileOptions, compile, type Model, type Session } from "../../src/index.ts";
import { bytesInUse } from "../../src/program/memory.ts";
import { usualReads } from "../../src/runtime/executors/memory.ts";
import type { MemoryForecast } from "../../src/runtime/session/memory.ts";
import type { StartOptions } from "../../src/runtime/session/start.ts";
import { sharedDevice } from "../shared-device.ts";
import { tinyModel } from "./tiny-model.ts";

const lora = { peft_type: "LORA", target_modules: ["q_proj", "v_proj"], r: 2, init_lora_weights: false };
const [batch, length] = [2, 16];
const ids = Int32Array.from({ length: batch * length }, (_unused, i) => (i * 5 + 3) % 11);
const data = { input_ids: ids, labels: ids };

interface Device {
  readonly device: NonNullable<StartOptions["device"]>;
  /** Bytes of all buffers that were made of the device, where it has some. */
  readonly made?: () => number;
  readonly close: () => void;
}

const devices: Readonly<Record<string, () => Promise<Device>>> = {
  webgpu: async () => {
    const open = await sharedDevice();
    const spy = vi.spyOn(open.device, "createBuffer");
    const made = (): number => spy.mock.calls.reduce((sum, [{ size }]) => sum + size, 0);
    return { device: open, made, close: () => spy.mockRestore() };
  },
  cpu: async () => ({ device: "cpu", close: () => undefined }),
  tfjs: async () => ({ device: "tfjs", close: () => undefined }),
};

const evaluated = "a training that is evaluated";

/** What a session does, and what it reads of its instance. */
const works: Readonly<Record<string, { readonly options: CompileOptions; run(session: Session): Promise<unknown> }>> = {
  "a training": {
    options: {},
    run: async (session) => {
      await session.step(data);
      await session.files();
    },
  },
  "a training that saves its state": {
    options: { accumulate: true },
    run: async (session) => {
      await session.step([data, data]);
      await session.files();
      await session.optimizerState();
    },
  },
  [evaluated]: {
    options: {},
    run: async (session) => {
      await session.step(data);
      await session.forward(data);
      await session.files();
    },
  },
  "a forward pass": { options: { mode: "infer" }, run: (session) => session.forward(data) },
};

const stateReads = [["params"], ["moment1"], ["moment2"]];

async function forecastAndUse(model: Model, name: string, device: Device["device"]) {
  const { options, run } = works[name]!;
  const program = await compile(model, lora, { batch, length, ...options });
  const reads = [...usualReads(program, name === evaluated), ...(options.accumulate ? stateReads : [])];
  const told: MemoryForecast[] = [];
  const session = await program.start({ device, reads, onForecast: (forecast) => told.push(forecast) });
  for (let i = 0; i < 2; i++) await run(session);
  const use = session.memory!;
  expect(session.deviceBytes).toBe(bytesInUse(use));
  session.dispose();
  return { told, use };
}

describe.each(Object.keys(devices))("the forecast for %s", (kind) => {
  it.each(Object.keys(works))("is what %s takes", { timeout: 120_000 }, async (name) => {
    const { device, made, close } = await devices[kind]!();
    for (const dtype of ["F32", "BF16"] as const) {
      const model = await tinyModel({ hidden_size: 64, intermediate_size: 96, vocab_size: 300 }, dtype);
      const before = made?.() ?? 0;
      const { told, use } = await forecastAndUse(model, name, device);
      expect(told).toHaveLength(1);
      expect(told[0]!.device).toEqual(use);
      if (made !== undefined) expect(made() - before).toBe(bytesInUse(use));
      expect(use.weights).toBeGreaterThan((dtype === "F32" ? 4 : 2) * 64 * 300);
    }
    close();
  });
});
