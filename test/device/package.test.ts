/** The whole package in a page: a model is fetched, compiled, trained on the browser's own WebGPU and saved, with the numbers of Node. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile, loadModel } from "../../src/index.ts";
import { hasChromium, openChromium } from "./chromium.ts";

const address = "http://localhost";
const example = (path: string): string => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));

const config = { peft_type: "OFT", oft_block_size: 32, target_modules: ["q_proj", "v_proj"] };
const shape = { batch: 2, length: 16 };
const batch = (): { input_ids: Int32Array; labels: Int32Array } => {
  const ids = Int32Array.from({ length: shape.batch * shape.length }, (_v, i) => (i * 37 + 11) % 500);
  return { input_ids: ids, labels: ids };
};

/** The package as modules for a browser, with its dependencies; what only Node or only the CPU executor imports must not be asked for. */
async function bundle(): Promise<string> {
  const outDir = await mkdtemp(join(tmpdir(), "webpeft-package-"));
  await build({
    ...{ config: false, logLevel: "silent", dts: false, clean: false, platform: "browser", format: "esm", outDir },
    entry: { index: fileURLToPath(new URL("../../src/index.ts", import.meta.url)) },
    deps: { neverBundle: [/^node:/, "webgpu", /^@tensorflow/], alwaysBundle: [/.*/] },
    define: { __VERSION__: JSON.stringify("test") },
  });
  return outDir;
}

describe.skipIf(!hasChromium)("a page, in a browser bundled for Linux on x64 only", () => {
  let browser: Browser;
  let page: Page;
  let folder: string;

  beforeAll(async () => {
    folder = await bundle();
    browser = await openChromium();
    page = await browser.newPage();
    await page.route(`${address}/**`, async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === "/") return route.fulfill({ contentType: "text/html", body: "<title>page</title>" });
      const file = pathname.startsWith("/package/")
        ? join(folder, pathname.slice("/package/".length))
        : example(pathname.slice(1));
      const body = await readFile(file).catch(() => undefined);
      if (body === undefined) return route.fulfill({ status: 404 });
      return route.fulfill({
        contentType: file.endsWith(".js") ? "text/javascript" : "application/octet-stream",
        body,
      });
    });
    await page.goto(`${address}/`);
    const content = `import * as webpeft from "/package/index.js"; globalThis.webpeft = webpeft;`;
    await page.addScriptTag({ type: "module", content });
    await page.waitForFunction(() => "webpeft" in globalThis);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  it("trains and saves an adapter", { timeout: 120_000 }, async () => {
    const inPage = await page.evaluate(
      async ({ config, shape, ids }) => {
        const webpeft = Reflect.get(globalThis, "webpeft") as typeof import("../../src/index.ts");
        const model = await webpeft.loadModel(`${location.origin}/tiny-llama/`);
        const program = await webpeft.compile(model, config, shape);
        const session = await program.start({ device: "webgpu", seed: 3 });
        const input = { input_ids: Int32Array.from(ids), labels: Int32Array.from(ids) };
        const losses: number[] = [];
        for (let i = 0; i < 3; i++) losses.push((await session.step(input, { lr: 1e-2 })).loss);
        const head = [...(await session.files()).get("adapter_model.safetensors")!.subarray(0, 400)];
        const { device } = session;
        session.dispose();
        return { losses, head, device };
      },
      { config, shape, ids: [...batch().input_ids] },
    );

    const program = await compile(await loadModel(example("tiny-llama")), config, shape);
    const session = await program.start({ device: "cpu", seed: 3 });
    const losses: number[] = [];
    for (let i = 0; i < 3; i++) losses.push((await session.step(batch(), { lr: 1e-2 })).loss);
    const head = [...(await session.files()).get("adapter_model.safetensors")!.subarray(0, 400)];
    session.dispose();

    // The file's own head: names, shapes, places.
    expect(inPage.device).toMatch(/WebGPU/);
    expect(inPage.head).toEqual(head);
    inPage.losses.forEach((loss, i) => {
      expect(Math.abs(loss - losses[i]!)).toBeLessThan(1e-3);
    });
    expect(losses[2]).toBeLessThan(losses[0]!);
  });
});
