/** The report of a program that was measured: where a step's time goes, and what nobody measured says so. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { measuredMs } from "../../src/program/measurement.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import { isAll } from "../extent.ts";
import { loadCase } from "../golden/helpers.ts";
import { hasChromium } from "./chromium.ts";
import { barriers, open, reportOf, tab, text } from "./report-page.ts";

describe.runIf(isAll && hasChromium)("what was measured", () => {
  let html: string;
  let kernelsMs: number;
  beforeAll(async () => {
    const { model, adapter } = await loadCase("llama-lora");
    const program = await compile(model, adapter, { batch: 2, length: 12, target: wasmTargetHere() });
    const measured = await program.measure({ device: "cpu", runs: 2 });
    kernelsMs = measuredMs(measured);
    html = inspectionFiles(program, { measured }).get("report.html")!;
  });

  it("is what tables are sorted by, adds up, and stands in the details of a kernel", async () => {
    const { page, faults, requests } = await open(html, { hash: "#view=kernels&stage=step" });
    const heads = await page.locator("main th").allInnerTexts();
    expect(heads.slice(0, 5).map((head) => head.replace(" ▼", ""))).toEqual([
      "kernel",
      "runs",
      "time",
      "% of time",
      "% of roof",
    ]);
    expect(await page.locator("main th[aria-sort]").textContent()).toBe("time ▼");
    const shares = await page
      .locator("main tbody tr")
      .evaluateAll((rows) => rows.map((row) => Number.parseFloat(row.children[3]!.textContent!)));
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    // Every share is rounded to a tenth.
    const gap = Math.abs(shares.reduce((sum, share) => sum + share, 0) - 100);
    expect(gap).toBeLessThan(0.05 * shares.length + 0.01);
    await page.locator("main tbody tr").first().locator("td").first().click();
    expect(await text(page, "aside")).toMatch(/time\s+[\d.]+ (µs|ms), [\d.]+ % of what the device reaches/);
    await tab(page, "Overview");
    expect(await text(page, "main")).toMatch(
      /Training step\s+[\d.]+ (µs|ms)\s+[\d.]+ % in kernels[\s\S]*Kernels by time[\s\S]*Modules by time/,
    );
    expect(faults).toEqual([]);
    expect(new Set(requests).size).toBe(1);
    await page.close();
  });

  it("is a bar of the graph's boxes, and no choice where nothing was measured", async () => {
    const { page, faults } = await open(html, { hash: "#view=graph" });
    await page.getByLabel("Bars").selectOption("time");
    await expect.poll(() => page.locator(".graph .is-folded").first().textContent()).toMatch(/boxes, [\d.]+ (µs|ms)/);
    const widths = await page
      .locator(".graph .cost")
      .evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("width"))));
    expect(Math.max(...widths)).toBeGreaterThan(50);
    await page.getByLabel("Level").selectOption("tensors");
    await expect.poll(() => page.getByLabel("Bars").locator("option").allTextContents()).toEqual(["flops", "bytes"]);
    expect(faults).toEqual([]);
    await page.close();
  });

  it.each([
    [1280, false],
    [390, true],
  ])("is drawn by layer, and beside what the device reaches, %s pixels wide, dark: %s", async (width, dark) => {
    const { page, faults } = await open(html, { hash: "#view=steps&stage=step", width, dark });
    const blocks = await page.locator(".flame g[data-ref] title").allTextContents();
    expect(blocks.some((block) => /^layers\.0: .*, forward$/.test(block))).toBe(true);
    expect(blocks.some((block) => /^layers\.0: .*, backward$/.test(block))).toBe(true);
    expect(await page.locator(".roofline circle").count()).toBeGreaterThan(3);
    expect(await text(page, "main")).toMatch(
      /by\s+the clock of the processor[\s\S]*peak\s+[\d.]+ \wflop\/s and [\d.]+ \wB\/s: the best of/,
    );
    const dispatches = await page.locator(".flame g[data-ref^='dispatch:']").count();
    await page.getByLabel("Layer", { exact: true }).selectOption({ label: "layers.1" });
    await page.waitForFunction(
      (all) => document.querySelectorAll(".flame g[data-ref^='dispatch:']").length < all,
      dispatches,
    );
    await page.locator(".flame g[data-ref^='dispatch:'] rect").nth(2).click();
    expect(await text(page, "aside h2")).toMatch(/^Dispatch \d+ of micro$/);
    expect(await page.locator(".flame .is-lit").count()).toBeGreaterThan(0);
    await page.keyboard.press("Escape");
    expect(await barriers(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    expect(faults).toEqual([]);
    await page.close();
  });

  it("has the sum of its dispatches in the data", () => {
    expect(kernelsMs).toBeGreaterThan(0);
    const data = /id="data">([^<]*)</.exec(html)![1]!;
    const { stages } = JSON.parse(data) as { stages: { dispatches: { time?: [number, number] }[] }[] };
    const sum = stages.flatMap(({ dispatches }) => dispatches).reduce((all, { time: [ms] = [0] }) => all + ms, 0);
    expect(sum).toBeCloseTo(kernelsMs, 6);
  });

  it("is missed where nobody measured", async () => {
    const { page } = await open(await reportOf("llama-lora"), { hash: "#view=steps" });
    expect(await text(page, "main")).toContain("webpeft inspect --measure");
    expect(await barriers(page)).toEqual([]);
    await page.close();
  });
});
