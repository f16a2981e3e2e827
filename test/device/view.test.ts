/** `program.view`: the graph in an element of a page, as the example for browsers uses it. */
import { fileURLToPath } from "node:url";
import type { Browser, FrameLocator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answer, pageScript } from "../../examples/web/serve.mjs";
import { reportPagePlugin } from "../../scripts/page-plugin.mjs";
import { hasChromium, openChromium } from "./chromium.ts";
import { barriers } from "./report-page.ts";

const address = "http://localhost/";

describe.skipIf(!hasChromium)("the example in a page", () => {
  let browser: Browser;
  let page: Page;
  let frame: FrameLocator;
  const [faults, requests]: [string[], string[]] = [[], []];

  beforeAll(async () => {
    const sources = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
    const script = await pageScript(sources, [reportPagePlugin()]);
    browser = await openChromium({ isolates: true });
    page = await browser.newPage({ viewport: { width: 1000, height: 1000 } });
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("request", (request) => requests.push(request.url()));
    await page.route(`${address}**`, async (route) => {
      const found = await answer(new URL(route.request().url()).pathname, script);
      const body = typeof found?.body === "string" ? found.body : Buffer.from(found?.body ?? []);
      await route.fulfill({ status: found === undefined ? 404 : 200, contentType: found?.type ?? "text/plain", body });
    });
    await page.goto(address);
    frame = page.frameLocator("#graph iframe");
    await frame.locator(".graph .box").first().waitFor();
  });
  afterAll(() => browser?.close());

  it("draws the graph of the config that stands there, and nothing of the report around it", async () => {
    expect(await page.locator("#figures").textContent()).toMatch(/^\d+ kernels, \d+ dispatches for a batch$/);
    expect(await page.locator("iframe").getAttribute("title")).toBe("webpeft: graph");
    expect(await frame.locator("header").isVisible()).toBe(false);
    await frame.locator(".graph .is-folded").first().click();
    await frame.locator(".graph .frame").first().waitFor();
    await frame.locator(".graph .box[data-ref]").first().focus();
    await page.keyboard.press("Enter");
    expect(await frame.locator("aside").textContent()).toMatch(/Dispatch \d+ of micro/);
    expect(await page.evaluate(() => [history.length, location.hash])).toEqual([2, ""]);
    expect(await barriers(page)).toEqual([]);
  });

  it("draws another view, and another program in place of the first", async () => {
    await page.getByLabel("and show").selectOption("kernels");
    await frame.locator("main table").first().waitFor();
    const config = { peft_type: "OFT", r: 0, oft_block_size: 8, target_modules: ["q_proj"] };
    await page.getByLabel("adapter_config.json").fill(JSON.stringify(config));
    await page.getByLabel("and show").selectOption("graph");
    await frame.locator(".graph .box").first().waitFor();
    await page.waitForFunction(() => document.querySelectorAll("iframe").length === 1);
    await page.getByLabel("adapter_config.json").fill("{");
    await page.getByRole("button", { name: "Compile" }).click();
    await page.waitForSelector("#error:text('JSON')");
    await page.getByLabel("adapter_config.json").fill('{"peft_type": "LORA", "r": -1, "target_modules": ["q_proj"]}');
    await page.getByRole("button", { name: "Compile" }).click();
    await page.waitForSelector("#error:text('r')");
    expect(faults).toEqual([]);
    const own = ["", "page.js", "model/"].map((name) => address + name);
    expect(
      requests.filter((url) => !/^(blob:|about:)/.test(url) && !own.some((known) => url.startsWith(known))),
    ).toEqual([]);
  });
});
