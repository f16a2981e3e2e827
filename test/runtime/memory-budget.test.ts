/** `memory`: programs that fit into less compute the same, and those that cannot are refused with what would fit. */
import { beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile, type Model, type Program, WebpeftError } from "../../src/index.ts";
import { chooseExecutor } from "../../src/runtime/session/executor-choice.ts";
import { forecastSession, forecastTarget, type MemoryForecast } from "../../src/runtime/session/memory.ts";
import { part } from "../extent.ts";
import { sharedDevice } from "../shared-device.ts";
import { tinyModel } from "./tiny-model.ts";

const lora = { peft_type: "LORA", target_modules: ["q_proj", "v_proj"], r: 2, init_lora_weights: false };
const size = { batch: 4, length: 64 };
const layers = { num_hidden_layers: 6, hidden_size: 32, intermediate_size: 48, vocab_size: 200 };

let model: Model;
/** The training that may take what it wants. */
let free: Program;
beforeAll(async () => {
  model = await tinyModel(layers);
  free = await compile(model, lora, size);
});

const batchOf = (rows: number, from = 0) => {
  const input_ids = Int32Array.from({ length: rows * size.length }, (_unused, i) => ((i + from) * 5 + 3) % 197);
  return { input_ids, labels: input_ids };
};

/** The forecasts on a device, as they are asked for. */
async function on(device: "cpu" | "webgpu") {
  const { executor } = await chooseExecutor(device === "webgpu" ? await sharedDevice() : device);
  const forecast = (program: Parameters<NonNullable<CompileOptions["forecast"]>>[0]) =>
    forecastSession(executor, program, model);
  return { executor, forecast };
}

async function losses(program: Program, device: Parameters<Program["start"]>[0] & object): Promise<number[]> {
  const told: MemoryForecast[] = [];
  const session = await program.start({ ...device, seed: 1, onForecast: (forecast) => told.push(forecast) });
  const seen: number[] = [];
  for (let step = 0; step < 3; step++) seen.push((await session.step(batchOf(size.batch), { lr: 1e-2 })).loss);
  await session.files();
  expect(told[0]!.device).toEqual(session.memory);
  session.dispose();
  return seen;
}

function close(got: readonly number[], wanted: readonly number[], within: number): void {
  for (const [i, x] of got.entries()) expect(Math.abs(x / wanted[i]! - 1)).toBeLessThan(within);
}

describe.each(part(["cpu", "webgpu"] as const, 2))("on %s", (name) => {
  it("60 % of what a training would take gives the same losses", { timeout: 300_000 }, async () => {
    const { executor, forecast } = await on(name);
    const { bytes } = (await forecast(free))!;
    const memory = Math.floor(0.6 * bytes);
    const spared = await compile(model, lora, { ...size, memory, forecast });
    expect((await forecast(spared))!.bytes).toBeLessThanOrEqual(memory);
    expect(spared.timeline.map(({ pass }) => pass)).toContain("recompute");
    close(await losses(spared, { device: executor }), await losses(free, { device: executor }), 1e-5);
  });
});

describe("a program", () => {
  it("that fits is the one that it is without a limit", async () => {
    const [unlimited, limited] = await Promise.all(
      [{}, { memory: 2 ** 30 }].map((more) => compile(model, lora, { ...size, ...more })),
    );
    expect(limited!.plan).toEqual(unlimited!.plan);
    expect(limited!.timeline.map(({ pass }) => pass)).toEqual(unlimited!.timeline.map(({ pass }) => pass));
  });

  it("that only evaluates takes fewer rows where its logits do not fit", async () => {
    const wide = await tinyModel({ ...layers, num_hidden_layers: 1, vocab_size: 2000 });
    const infer = { ...size, mode: "infer" } as const;
    const bytes = forecastTarget(await compile(wide, lora, infer), wide).bytes;
    const refused = await compile(wide, lora, { ...infer, memory: bytes >> 1 }).catch((error: unknown) => error);
    const { code, help } = (refused as WebpeftError).diagnostics[0]!;
    expect([code, help]).toEqual(["COMPILE-MEMORY", expect.stringMatching(/^what fits: batches of \d: [\d.]+ MiB$/)]);
    const batch = Number(/batches of (\d)/.exec(help!)![1]);
    await compile(wide, lora, { ...infer, batch, memory: bytes >> 1 });
  });

  it.each([0, 1.5, "10 GB"])("may take bytes, not %s", async (memory) => {
    const attempt = compile(await tinyModel(), lora, { ...size, memory: memory as number });
    await expect(attempt).rejects.toMatchObject({ code: "COMPILE-OPTION" });
  });
});

describe("a program that cannot fit", () => {
  it("is refused with a smaller batch that takes the same step, which then fits", { timeout: 100_000 }, async () => {
    const { executor, forecast } = await on("cpu");
    const least = await compile(model, lora, { ...size, memory: 1, forecast }).catch((error: unknown) => error);
    expect(least).toBeInstanceOf(WebpeftError);
    const [all] = (least as WebpeftError).diagnostics;
    expect(all).toMatchObject({ code: "COMPILE-MEMORY", expected: "at most 1 B" });
    expect(all!.help).toMatch(
      /^nothing like it fits; it would take with: batches of 1 with length 8: [\d.]+ [KM]iB; weights in bf16: [\d.]+ [KM]iB; weights in bf16 and batches of 1, 4 of them a step \(accumulate 4\): [\d.]+ [KM]iB$/,
    );
    const needed = Number(/^([\d.]+) MiB/.exec(all!.got!)![1]);
    const memory = Math.floor(0.8 * needed * 2 ** 20);
    const refused = (await compile(model, lora, { ...size, memory, forecast }).catch(
      (error: unknown) => error,
    )) as WebpeftError;
    const [, rows, parts] = /what fits: batches of (\d+), (\d+) of them a step/.exec(refused.diagnostics[0]!.help!)!;
    const small = await compile(model, lora, { ...size, batch: Number(rows), accumulate: true, memory, forecast });
    const session = await small.start({ device: executor, seed: 1 });
    const each = Number(rows) * size.length;
    const { loss } = await session.step(
      Array.from({ length: Number(parts) }, (_unused, i) => batchOf(Number(rows), i * each)),
    );
    session.dispose();
    const [whole] = await losses(free, { device: executor });
    close([loss], [whole!], 1e-5);
  });
});
