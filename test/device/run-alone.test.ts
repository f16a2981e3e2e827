/** Kernels by themselves: a page that the report makes runs one on WebGPU, and agrees with the interpreter. */
import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { kernelPage } from "../../src/inspect/page/run-alone.ts";
import type { KernelRecord, ReportData } from "../../src/inspect/report-types.ts";
import { isAll, part } from "../extent.ts";
import { hasChromium } from "./chromium.ts";
import { open, reportOf, text } from "./report-page.ts";

const kernelsOf = (html: string): readonly KernelRecord[] =>
  (JSON.parse(/id="data">(.*?)<\/script>/.exec(html)![1]!) as ReportData).kernels;

describe.each(part(["llama-lora", "llama-oft", "mixtral-lora-experts"], 3))("kernels of %s", (name) => {
  let html: string;
  beforeAll(async () => {
    html = await reportOf(name);
  });

  it("have results of the first workgroup, and none that is not written", () => {
    for (const { alone, wgsl } of kernelsOf(html)) {
      expect(alone!.samples.length).toBeGreaterThan(0);
      for (const [binding, at] of alone!.samples) {
        const [bytes, access] = alone!.bindings[binding]!;
        expect(access).toBe("read_write");
        expect(4 * at).toBeLessThan(bytes);
      }
      expect(wgsl.match(/var<storage, read_write>/g)).not.toBeNull();
    }
  });

  it.runIf(isAll && hasChromium)("agree with the interpreter where they run by themselves", async () => {
    const { page, faults } = await open(html, { hash: "#view=kernels" });
    await page.locator("main tbody tr td").first().click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Run alone" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("kernel.html");
    const own = await readFile(await download.path(), "utf8");
    const kernels = kernelsOf(html);
    const some = kernels.filter((_kernel, i) => i % Math.ceil(kernels.length / 12) === 0);
    const said = async (content: string): Promise<string> => {
      const opened = await page.context().browser()!.newPage();
      // Pages of the disk may use WebGPU as those of localhost may.
      await opened.route("http://localhost/kernel.html", (route) =>
        route.fulfill({ contentType: "text/html", body: content }),
      );
      await opened.goto("http://localhost/kernel.html");
      await opened.waitForFunction(() => document.getElementById("result")!.textContent !== "Running.");
      const result = await text(opened, "#result");
      await opened.close();
      return result;
    };
    expect(await said(own)).toMatch(/^It agrees: \d+ results/);
    for (const kernel of some)
      expect(await said(kernelPage(kernel, kernel.alone!)), kernel.name).toMatch(/^It agrees: [1-9]/);
    const [first] = kernels;
    const [binding, at, word] = first!.alone!.samples[0]!;
    const wrong = { ...first!.alone!, samples: [[binding, at, word ^ 0x00800000] as const] };
    expect(await said(kernelPage(first!, wrong))).toContain("It does not agree at 1 of 1");
    expect(faults).toEqual([]);
    await page.close();
  });
});
