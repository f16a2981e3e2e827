/** The device module in a browser: bundled for it, in the headless Chromium whose SwiftShader the Node tests use. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DeviceReport } from "../../src/runtime/device/index.ts";
import { hasChromium, openChromium } from "./chromium.ts";

const address = "http://localhost/";

/** The module as one script that leaves its exports in `globalThis.device`. */
async function bundle(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), "webpeft-bundle-"));
  await build({
    ...{ config: false, logLevel: "silent", dts: false, clean: false, platform: "browser", outDir },
    ...{
      entry: { device: fileURLToPath(new URL("./kernel.ts", import.meta.url)) },
      format: "iife",
      globalName: "device",
    },
  });
  const [file] = await readdir(outDir);
  const text = await readFile(join(outDir, file!), "utf8");
  await rm(outDir, { recursive: true });
  return text;
}

describe.skipIf(!hasChromium)("a browser, bundled for Linux on x64 only", () => {
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    browser = await openChromium();
    page = await browser.newPage();
    await page.route(`${address}**`, (route) =>
      route.fulfill({ contentType: "text/html", body: "<title>page</title>" }),
    );
    await page.goto(address);
    await page.addScriptTag({ content: await bundle() });
  });

  afterAll(() => browser?.close());

  it("opens the browser's own device and computes", async () => {
    const result = await page.evaluate(async () => {
      const { openDevice, runTwicePlusIndex } = Reflect.get(globalThis, "device") as typeof import("./kernel.ts");
      const open = await openDevice({ prefer: "webgpu" });
      const values = await runTwicePlusIndex(open, new Float32Array([0.5, -1, 3]));
      open.dispose();
      const late = await open.wait(open.device.queue.onSubmittedWorkDone()).catch((error) => error.code as string);
      return { source: open.adapter.source, values: [...values], late, target: open.target };
    });
    expect(result).toMatchObject({ source: "navigator", values: [1, -1, 8], late: "DEVICE-LOST" });
    expect(Object.keys(result.target.limits)).toContain("maxComputeWorkgroupStorageSize");
  });

  it("says that the device was lost to what waits when it is destroyed", async () => {
    const codes = await page.evaluate(async () => {
      const { openDevice, runTwicePlusIndex } = Reflect.get(globalThis, "device") as typeof import("./kernel.ts");
      const code = (error: { readonly code?: string; readonly name: string }): string => error.code ?? error.name;
      const lost: unknown[] = [];
      for (const begun of [0, 1, 20]) {
        const open = await openDevice({ prefer: "webgpu" });
        await runTwicePlusIndex(open, new Float32Array(4));
        const running = runTwicePlusIndex(open, new Float32Array(2 ** 16)).then(() => "done", code);
        for (let i = 0; i < begun; i++) await Promise.resolve();
        open.device.destroy();
        lost.push(await running, await runTwicePlusIndex(open, new Float32Array(4)).then(() => "done", code));
      }
      return lost;
    });
    expect(codes).toEqual(new Array(6).fill("DEVICE-LOST"));
  });

  it("writes a folder of the page's own, piece by piece, whole or not at all", async () => {
    const seen = await page.evaluate(async () => {
      const { writePageFolder } = Reflect.get(globalThis, "device") as typeof import("./kernel.ts");
      type Folder = Parameters<typeof writePageFolder>[0];
      const root = await navigator.storage.getDirectory();
      const folder = (await root.getDirectoryHandle("out", { create: true })) as unknown as Folder;
      const bytes = new TextEncoder();
      async function* halves(fails: boolean) {
        yield bytes.encode("one ");
        if (fails) throw new RangeError("no more");
        yield bytes.encode("two");
      }
      const read = async (): Promise<string[]> => {
        const found: string[] = [];
        for await (const name of folder.keys()) {
          const entry = (await folder.getFileHandle(name, { create: false })) as unknown as FileSystemFileHandle;
          found.push(`${name}: ${await (await entry.getFile()).text()}`);
        }
        return found.sort();
      };
      const code = (error: { readonly code?: string; readonly name: string }): string => error.code ?? error.name;
      const write = (files: [string, string | AsyncIterable<Uint8Array>][], overwrite = false) =>
        writePageFolder(folder, new Map(files), { overwrite }).then(() => "done", code);
      const results = [
        await write([
          ["a", "first"],
          ["b", halves(false)],
        ]),
      ];
      const before = await read();
      results.push(await write([["a", "x"]]), await write([["../a", "x"]], true));
      results.push(
        await write(
          [
            ["a", "x"],
            ["new", "x"],
            ["b", halves(true)],
          ],
          true,
        ),
      );
      const unchanged = await read();
      results.push(await write([["a", "second"]], true));
      return { results, before, unchanged, after: await read() };
    });
    const files = ["a: first", "b: one two"];
    expect(seen).toEqual({
      results: ["done", "FILE-OUTPUT-EXISTS", "FILE-PATH", "RangeError", "done"],
      before: files,
      unchanged: files,
      after: ["a: second", "b: one two"],
    });
  });

  it("reports what it found", async () => {
    const report = await page.evaluate(async (): Promise<DeviceReport> => {
      const { listDevices } = Reflect.get(globalThis, "device") as typeof import("./kernel.ts");
      return listDevices();
    });
    expect(report.attempts.map((a) => a.source)).toEqual(["navigator"]);
    expect(report.attempts[0]!.outcome).toBe("found");
    expect(report.versions.userAgent).toContain("Chrome");
  });
});

/** What a page of these headers computes on one thread and on three, and how long it stands still for products that take a while. */
async function squaresIn(isolates: boolean, headers: Readonly<Record<string, string>>) {
  const browser = await openChromium({ isolates });
  try {
    const page = await browser.newPage();
    await page.route(`${address}**`, (route) =>
      route.fulfill({ contentType: "text/html", body: "<title>page</title>", headers }),
    );
    await page.goto(address);
    // The page's own rules may forbid scripts of others, not those of the test.
    await page.evaluate(await bundle().then((text) => `${text}; globalThis.device = device;`));
    return await page.evaluate(async () => {
      const { squareInThreads } = Reflect.get(globalThis, "device") as typeof import("./kernel.ts");
      return [await squareInThreads(1), await squareInThreads(3), await squareInThreads(3, 1000)] as const;
    });
  } finally {
    await browser.close();
  }
}

describe.skipIf(!hasChromium)("threads of a page", () => {
  const isolating = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

  it.each([true, false])("compute what one does, which the page does not stop for (isolated: %s)", async (isolates) => {
    const [one, three, large] = await squaresIn(isolates, isolating);
    expect(three.isIsolated).toBe(isolates);
    expect(three.sums).toEqual(one.sums);
    expect(one.sums.every(Number.isFinite)).toBe(true);
    expect(large.pause).toBeLessThan(large.duration / 2);
  });

  it.each([true, false])("are the page's own where it forbids workers (isolated: %s)", async (isolates) => {
    const headers = { ...isolating, "content-security-policy": "worker-src 'none'" };
    const [one, three] = await squaresIn(isolates, headers);
    expect(three.isIsolated).toBe(isolates);
    expect(three.sums).toEqual(one.sums);
    expect(one.sums.every(Number.isFinite)).toBe(true);
  });
});
