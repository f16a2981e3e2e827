import { afterEach, describe, expect, it } from "vitest";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import {
  type AdapterFacts,
  bufferUsage,
  chooseExecutor,
  type DeviceAttempt,
  listDevices,
  type OpenDevice,
  openDevice,
} from "../../src/runtime/device/index.ts";
import { runTwicePlusIndex, twicePlusIndexOf } from "./kernel.ts";

const opened: OpenDevice[] = [];
const openAny = async (): Promise<OpenDevice> => {
  const open = await openDevice({ prefer: "webgpu" });
  opened.push(open);
  return open;
};

afterEach(() => {
  for (const open of opened.splice(0)) open.dispose();
});

describe("openDevice", () => {
  it("opens a device that computes", async () => {
    const open = await openAny();
    const data = Float32Array.from({ length: 300 }, (_, i) => Math.cos(i));
    expect(await runTwicePlusIndex(open, data)).toEqual(twicePlusIndexOf(data));
    expect(open.adapter.software).toBe(open.adapter.kind !== "hardware");
  });

  it("stops at an aborted signal", async () => {
    const reason = new Error("enough");
    await expect(openDevice({ prefer: "webgpu", signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("survives the collection of everything that was dropped, before and after dispose", async () => {
    const collect = (): number => {
      const rubbish: Float32Array[] = [];
      for (let i = 0; i < 200; i++) rubbish[i % 4] = new Float32Array(1 << 20);
      return rubbish.length;
    };
    for (let round = 0; round < 3; round++) {
      // Dawn's instance used to go with the first collection, and the process with it.
      const open = await openDevice({ prefer: "webgpu" });
      const data = new Float32Array(64).fill(collect());
      expect(await runTwicePlusIndex(open, data)).toEqual(twicePlusIndexOf(data));
      open.dispose();
      collect();
    }
  });
});

describe("failures of a device", () => {
  it("reports an error that no scope took at the next wait, and then always", async () => {
    const open = await openAny();
    open.device.createBuffer({ label: "twice", size: 16, usage: bufferUsage.MAP_READ | bufferUsage.STORAGE });
    const wait = (): Promise<undefined> => open.wait(open.device.queue.onSubmittedWorkDone());
    await expect(wait()).rejects.toMatchObject({ code: "DEVICE-VALIDATION" });
    await expect(wait()).rejects.toMatchObject({
      code: "DEVICE-VALIDATION",
      message: expect.stringContaining("twice"),
    });
    expect(open.failure()).toBeInstanceOf(WebpeftError);
  });

  it("throws what a scope took, with the name of the thing, and goes on", async () => {
    const open = await openAny();
    const size = open.device.limits.maxBufferSize + 4;
    const make = (): GPUBuffer => open.device.createBuffer({ size, usage: bufferUsage.STORAGE });
    await expect(open.scoped("arena", make)).rejects.toMatchObject({ code: "DEVICE-VALIDATION", where: "arena" });
    expect(open.failure()).toBeUndefined();
    const buffer = await open.scoped("arena", () =>
      open.device.createBuffer({ size: 256, usage: bufferUsage.STORAGE }),
    );
    expect(buffer.size).toBe(256);
  });

  it("pops its scopes when the function throws", async () => {
    const open = await openAny();
    const defect = new Error("defect");
    const bad = open.scoped("nothing", () => {
      throw defect;
    });
    await expect(bad).rejects.toBe(defect);
    await expect(open.device.popErrorScope()).rejects.toThrow();
  });

  it("fails what is waiting when the device goes", async () => {
    const open = await openAny();
    const { MAP_READ, COPY_DST } = bufferUsage;
    const buffer = open.device.createBuffer({ size: 16, usage: MAP_READ | COPY_DST });
    const waiting = open.wait(buffer.mapAsync(1));
    open.dispose();
    open.dispose();
    await expect(waiting).rejects.toMatchObject({ code: "DEVICE-LOST" });
    const later = open.wait(open.device.queue.onSubmittedWorkDone());
    await expect(later).rejects.toMatchObject({ code: "DEVICE-LOST" });
  });
});

describe("what auto takes", () => {
  const adapter = (kind: AdapterFacts["kind"]): AdapterFacts => ({
    ...{ source: "dawn", kind, software: kind !== "hardware", vendor: "v", architecture: "a", backend: "vulkan" },
    description: `a ${kind} adapter`,
  });
  const found = (kind: AdapterFacts["kind"]): DeviceAttempt => ({
    ...{ source: "dawn", outcome: "found", milliseconds: 1 },
    adapter: adapter(kind),
  });

  it("takes hardware, and no software driver", () => {
    expect(chooseExecutor([found("hardware")]).executor).toBe("webgpu");
    expect(chooseExecutor([found("swiftshader"), found("hardware")]).executor).toBe("webgpu");
    expect(chooseExecutor([found("lavapipe")]).executor).toBe("cpu");
    expect(chooseExecutor([found("swiftshader")])).toMatchObject({
      executor: "cpu",
      reason: expect.stringContaining("slower"),
    });
    expect(chooseExecutor([])).toEqual({ executor: "cpu", reason: "there is no WebGPU adapter" });
  });

  it("agrees with the report of what was tried", async () => {
    const report = await listDevices();
    expect(report.attempts.map((a) => a.source)).toEqual(["dawn", "swiftshader"]);
    for (const attempt of report.attempts) {
      expect(attempt.adapter === undefined).toBe(attempt.outcome !== "found");
      expect(attempt.reason === undefined).toBe(attempt.outcome === "found");
    }
    expect(report.versions.webgpu).toMatch(/^\d+\.\d+/);
    const auto = openDevice({ prefer: "auto" });
    if (report.choice.executor === "cpu") await expect(auto).rejects.toMatchObject({ code: "DEVICE-NONE" });
    else {
      opened.push(await auto);
      expect((await auto).adapter.source).toBe(report.choice.source);
    }
  });
});
