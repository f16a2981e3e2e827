/** Reports opened in a browser, and how their pages are asked. */
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { expect } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { remembered } from "../../src/ir/remember.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import { part } from "../extent.ts";
import { loadCase } from "../golden/helpers.ts";
import { openChromium } from "./chromium.ts";

export const address = "http://localhost/";
/** Methods whose programs differ most: one product, a solve, butterflies, Fourier transforms, and weights by token. */
export const methods = ["llama-lora", "llama-oft", "llama-boft", "llama-fourierft", "llama-xlora-depth1"];
export const views = ["Overview", "Kernels", "Graph", "Memory", "Steps", "Passes", "Decisions", "Diff"];

/** The browser of this process: files of tests share it, and it ends with the process. */
let browser: Promise<Browser> | undefined;

/** A page with a report, what it asked for, and what went wrong. */
export async function open(html: string, { hash = "", width = 1280, dark = false } = {}) {
  browser ??= openChromium({ isolates: true });
  const page = await (await browser).newPage({
    viewport: { width, height: 800 },
    colorScheme: dark ? "dark" : "light",
  });
  const [requests, faults]: [string[], string[]] = [[], []];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => faults.push(message.text()));
  await page.route(`${address}**`, (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(address + hash);
  await page.waitForSelector("main > *");
  return { page, requests, faults };
}

const reports = new Map<string, Promise<string>>();

/** The report of a golden case, which tests of a process share. */
export const reportOf = (name: string): Promise<string> =>
  remembered(reports, name, async () => {
    const { model, adapter } = await loadCase(name);
    return inspectionFiles(await compile(model, adapter, { batch: 2, length: 12 })).get("report.html")!;
  });

/** With the times of a step that ran on the processor. */
export async function measuredReportOf(name: string): Promise<string> {
  const { model, adapter } = await loadCase(name);
  const experts = Object.fromEntries(adapter.experts ?? []);
  const program = await compile(model, adapter, { batch: 2, length: 12, target: wasmTargetHere() });
  const measured = await program.measure({ device: "cpu", runs: 1, experts });
  return inspectionFiles(program, { measured }).get("report.html")!;
}

// biome-ignore lint/performance/useDomNodeTextContent: what people see has its line breaks and nothing hidden
export const text = (page: Page, selector: string): Promise<string> => page.locator(selector).innerText();
export const tab = (page: Page, name: string): Promise<void> => page.getByRole("button", { name, exact: true }).click();

/** What is wrong with a page for people who cannot see it, use no mouse, or see little contrast. */
export async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => (Reflect.get(globalThis, "axe") as typeof axe).run());
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Nothing is wrong with what the page shows, with and without a selection, on a phone (in `npm run test:all` on a desk too), and it is no wider. */
export async function expectReadable(page: Page): Promise<void> {
  const screens = [
    [390, "dark"],
    [1280, "light"],
  ] as const;
  for (const [width, colorScheme] of part(screens, 2)) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    await page.keyboard.press("Escape");
    expect(await barriers(page)).toEqual([]);
    const selectable = page.locator("main [data-ref]");
    if ((await selectable.count()) > 0) await selectable.first().click();
    expect(await barriers(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  }
}
