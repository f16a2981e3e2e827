/** What people ask while they debug, answered by the report in at most two clicks. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAll } from "../extent.ts";
import { hasChromium } from "./chromium.ts";
import { measuredReportOf, methods, open, reportOf, text } from "./report-page.ts";

const view = (name: string): string => `nav button:text-is("${name}")`;
const row = (...modules: string[]): string =>
  `main tbody tr${modules.map((name) => `:has(.chip:text-matches("^(self_attn\\\\.)?${name}"))`).join("")} td:first-child`;

/** A question, what is clicked, and where the answer stands. */
const questions: readonly (readonly [string, readonly string[], string, RegExp])[] = [
  ["which kernel takes most", [view("Kernels")], "main tbody tr >> nth=0", /[\d.]+ %/],
  [
    "which line of the formula a kernel comes from",
    [view("Kernels"), row("q_proj")],
    "aside",
    /Lines of the formula\s+\w+\.ts:\d+/,
  ],
  ["what was decided and what would flip it", [view("Decisions")], "main", /[\d,]+ tokens|no number of tokens/],
  ["what a rule changed", [view("Passes"), "main td .chip:has-text('×')"], "main .diff >> nth=0", /%\d+/],
  ["who holds the memory at its peak", [view("Memory")], "main", /At the peak, dispatch \d+/],
  ["what is computed more than once", [view("Memory")], "main", /Computed more than once/],
  [
    "how modules share a kernel, and with which sizes",
    [view("Kernels"), row("q_proj", "v_proj")],
    "aside",
    /^(?=[\s\S]*q_proj)(?=[\s\S]*v_proj)[\s\S]*Parts of the first dispatch\s+\S/,
  ],
];

describe.runIf(isAll && hasChromium).each(methods)("the report of %s", (name) => {
  let page: Page;
  let other: string;
  const url = "http://localhost/";
  beforeAll(async () => {
    const [own, second] = await Promise.all([reportOf(name), reportOf(methods.find((method) => method !== name)!)]);
    ({ page } = await open(own));
    other = second;
  });
  afterAll(() => page?.close());

  it.each(questions)("says %s", async (_question, clicks, place, answer) => {
    expect(clicks.length).toBeLessThanOrEqual(2);
    await page.goto(url);
    for (const selector of clicks) await page.locator(selector).first().click();
    await expect.poll(() => text(page, place), { timeout: 10_000 }).toMatch(answer);
  });

  // Times put the kernels in an order of their own, so that only this is asked where they are.
  it("says what every kernel takes, where it was measured", async () => {
    const { page: measured } = await open(await measuredReportOf(name));
    await measured.locator(view("Steps")).click();
    const row = () => text(measured, "main table tbody tr >> nth=0");
    await expect.poll(row, { timeout: 10_000 }).toMatch(/[\d.]+ (µs|ms)\s+[\d.]+ (µs|ms)\s+[\d.]+ %/);
    await measured.close();
  });

  it("says what differs from another program, whose report is chosen", async () => {
    await page.goto(url);
    await page.locator(view("Diff")).click();
    const [chooser] = await Promise.all([
      page.waitForEvent("filechooser"),
      page
        .locator("main")
        .getByRole("button", { name: /report/ })
        .first()
        .click(),
    ]);
    await chooser.setFiles({ name: "b.html", mimeType: "text/html", buffer: Buffer.from(other) });
    await page.waitForSelector("main table");
    expect(await text(page, "main")).toMatch(
      /Figures[\s\S]*dispatches[^\n]*\s[\d,]+\s+[\d,]+[\s\S]*Kernels[\s\S]*Decisions/,
    );
    expect(await page.locator("main table tbody tr").count()).toBeGreaterThan(3);
  });
});
