/** The report of a program whose values were compared with f64: the wrong kernel is found by its bars, its column and its details. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import type { Precision } from "../../src/program/precision.ts";
import { wasmTargetHere } from "../../src/runtime/executors/wasm/features.ts";
import { isAll } from "../extent.ts";
import { loadCase } from "../golden/helpers.ts";
import { hasChromium } from "./chromium.ts";
import { barriers, open, reportOf, text } from "./report-page.ts";

describe.runIf(isAll && hasChromium)("errors against f64", () => {
  let html: string;
  let wrong: { readonly node: number; readonly kernel: string; readonly at: number };
  beforeAll(async () => {
    const { model, adapter } = await loadCase("llama-lora");
    const program = await compile(model, adapter, { batch: 2, length: 12, target: wasmTargetHere() });
    const right = await program.precision({ device: "cpu" });
    const micro = right.stages.find(({ name }) => name === "micro")!;
    const { node } = micro.nodes[20]!;
    const stored = program.generated.parts.find(({ stage }) => stage === "micro")!.stored;
    const at = stored.findIndex((parts) => parts.flat().includes(node));
    const { kernel } = program.plan.stages.find(({ name }) => name === "micro")!.dispatches[at]!;
    wrong = { node, kernel, at };
    const nodes = micro.nodes.map((one) => (one.node === node ? { ...one, error: 0.25, own: 0.125 } : one));
    const compared: Precision = {
      ...right,
      stages: right.stages.map((stage) => (stage === micro ? { ...stage, nodes } : stage)),
    };
    html = inspectionFiles(program, { compared }).get("report.html")!;
  });

  it("are columns of Kernels, and stand in details", async () => {
    const { page, faults } = await open(html, { hash: "#view=kernels&stage=micro" });
    for (const name of ["error", "own error"]) {
      await page.getByRole("button", { name, exact: true }).click();
      expect(await text(page, "main tbody tr:first-child td:first-child")).toContain(wrong.kernel);
    }
    expect(await text(page, "main tbody tr:first-child")).toMatch(/2\.5e-1\s+1\.3e-1/);
    await page.locator("main tbody tr").first().locator("td").first().click();
    expect(await text(page, "aside")).toMatch(/error against f64\s+2\.5e-1, of the kernel alone 1\.3e-1/);
    expect(faults).toEqual([]);
    await page.close();
  });

  it.each([
    ["kernels", () => `dispatch:micro/${wrong.at}`],
    ["tensors", () => `node:micro/${wrong.node}`],
  ] as const)("are bars of the graph of %s: the wrong box has the longest", async (level, ref) => {
    const { page, faults } = await open(html, { hash: `#view=graph&level=${level}&sel=${ref()}` });
    expect(await page.getByLabel("Bars").locator("option").allTextContents()).toEqual([
      ...["flops", "bytes", "error against f64", "own error"],
    ]);
    for (const bars of ["error against f64", "own error"]) {
      await page.getByLabel("Bars").selectOption(bars);
      await expect
        .poll(() => page.locator(".graph .box title").allTextContents())
        .toContainEqual(expect.stringContaining(bars === "own error" ? "1.3e-1" : "2.5e-1"));
      const longest = await page.locator(".graph .box").evaluateAll((boxes) => {
        const widthOf = (box: Element): number => Number(box.querySelector(".cost")!.getAttribute("width"));
        return boxes.reduce((most, box) => (widthOf(box) > widthOf(most) ? box : most)).querySelector("title")!
          .textContent;
      });
      expect(longest).toMatch(bars === "own error" ? /1\.3e-1/ : /2\.5e-1/);
    }
    expect(await barriers(page)).toEqual([]);
    expect(faults).toEqual([]);
    await page.close();
  });

  it("are no choice where nothing was compared", async () => {
    const { page } = await open(await reportOf("llama-lora"), { hash: "#view=graph" });
    expect(await page.getByLabel("Bars").locator("option").allTextContents()).toEqual(["flops", "bytes"]);
    await page.close();
  });
});
