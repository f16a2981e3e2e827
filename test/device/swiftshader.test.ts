import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAdapter } from "../../src/runtime/device/device.ts";
import { findPackage } from "../../src/runtime/device/host.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { searchIn } from "../../src/runtime/device/search.ts";
import { installSwiftShader } from "../../src/runtime/device/swiftshader.ts";
import { runTwicePlusIndex, twicePlusIndexOf } from "./kernel.ts";

const supported = process.platform === "linux" && process.arch === "x64";

describe.skipIf(!supported)("SwiftShader, bundled for Linux on x64 only", () => {
  const cacheBefore = process.env.WEBPEFT_CACHE;
  let cache: string;
  let open: OpenDevice;

  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), "webpeft-cache-"));
    process.env.WEBPEFT_CACHE = cache;
    const { attempt, found } = await searchIn("swiftshader", undefined);
    expect(attempt).toMatchObject({ outcome: "found", adapter: { kind: "swiftshader", software: true } });
    open = await openAdapter(found!);
  });

  afterAll(async () => {
    open.dispose();
    if (cacheBefore === undefined) delete process.env.WEBPEFT_CACHE;
    else process.env.WEBPEFT_CACHE = cacheBefore;
    await rm(cache, { recursive: true });
  });

  it("runs a kernel", async () => {
    const data = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    const expected = twicePlusIndexOf(data);
    const got = await runTwicePlusIndex(open, data);
    expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-4);
    expect(got).not.toEqual(data);
    expect(open.failure()).toBeUndefined();
  });

  it("tells its facts as plain JSON", () => {
    expect(JSON.parse(JSON.stringify(open.target))).toEqual(open.target);
    expect(open.target.kind).toBe("swiftshader");
    expect(open.target.features).toContain("subgroups");
    expect(open.target.subgroupMaxSize).toBeGreaterThan(0);
    expect(open.target.limits.maxComputeInvocationsPerWorkgroup).toBe(256);
    expect(open.target.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(open.target.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(1 << 27);
  });

  it("is unpacked once, whole, and by several at a time", async () => {
    const dawn = (await findPackage("webgpu"))!;
    process.env.WEBPEFT_CACHE = join(cache, "together");
    const paths = await Promise.all([1, 2, 3].map(() => installSwiftShader(dawn)));
    expect(new Set(paths).size).toBe(1);
    const folders = await readdir(join(cache, "together"));
    expect(folders).toHaveLength(1);
    const files = await readdir(join(cache, "together", folders[0]!));
    expect(files.sort()).toEqual(["dawn.node", "libvk_swiftshader.so", "libvulkan.so.1"]);
  });

  it("names a cache folder that cannot be used", async () => {
    process.env.WEBPEFT_CACHE = "/dev/null/cache";
    const { attempt } = await searchIn("swiftshader", undefined);
    expect(attempt).toMatchObject({ outcome: "absent", reason: expect.stringContaining("WEBPEFT_CACHE") });
    await expect(installSwiftShader((await findPackage("webgpu"))!)).rejects.toMatchObject({ code: "DEVICE-CACHE" });
  });
});
