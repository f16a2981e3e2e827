/** Every view of the report with everything in it, for people who cannot see it, use no mouse or see little contrast, and on a phone. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAll } from "../extent.ts";
import { hasChromium } from "./chromium.ts";
import { barriers, expectReadable, measuredReportOf, methods, open, reportOf, tab, views } from "./report-page.ts";

describe.runIf(isAll && hasChromium).each(methods)("the report of %s", (name) => {
  let page: Page;
  beforeAll(async () => {
    const [measured, other] = await Promise.all([
      measuredReportOf(name),
      reportOf(methods.find((method) => method !== name)!),
    ]);
    ({ page } = await open(measured));
    await tab(page, "Diff");
    expect(await barriers(page)).toEqual([]);
    await page.setInputFiles("input[type=file]", { name: "b.html", mimeType: "text/html", buffer: Buffer.from(other) });
    await page.waitForSelector("main table");
  });
  afterAll(() => page?.close());

  it.each(views)("can be read by all in %s, light and dark, on a desk and on a phone", async (view) => {
    await tab(page, view);
    await expectReadable(page);
    await page.keyboard.press("Escape");
  });
});
