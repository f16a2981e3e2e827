/** The report of what failed: the error first, its node marked in the graph after a click, and names of strangers are text. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { failureFiles } from "../../src/inspect/index.ts";
import { during } from "../../src/ir/trail.ts";
import { loadCase } from "../golden/helpers.ts";
import { hasChromium } from "./chromium.ts";
import { expectReadable, open, text } from "./report-page.ts";

const hurt = '<img src=x onerror="document.title=1">';

it.skipIf(!hasChromium)("begins with the error, and leads to its node", async () => {
  const { model, adapter } = await loadCase("llama-lora");
  const program = await compile(model, adapter, { batch: 2, length: 12 });
  const { stored } = program.generated.parts.find(({ stage }) => stage === "micro")!;
  const nodes = stored[7]![0]!;
  const graph = program.graph("tensor", "micro");
  const error = during(during(new Error(hurt), { doing: "kernel", graph, nodes, reads: [nodes[0]! - 1] }), {
    doing: "stage",
    stage: "micro",
  });
  const { page, requests, faults } = await open(failureFiles(error, { program }).get("report.html")!);
  expect(await text(page, "main")).toContain(hurt);
  expect(await text(page, "main")).toMatch(/kernels of stage micro/);
  expect(await text(page, "main")).toMatch(/What it stores and reads[\s\S]*stores\s+%\d+ = [\s\S]*reads\s+%\d+ = /);
  await expectReadable(page);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "micro in the graph" }).click();
  await page.waitForSelector(".graph .is-failed");
  expect(await text(page, "aside")).toContain(`%${nodes[0]}`);

  // The loss, whose parts the backward pass makes, stands below the layers.
  const top = async (name: string): Promise<number> =>
    (await page.locator(".graph .forward", { hasText: name }).first().boundingBox())!.y;
  expect(await top("loss")).toBeGreaterThan(await top("embed_tokens"));

  const view = (): Promise<string | null> => page.locator(".graph").getAttribute("viewBox");
  const before = await view();
  await page.locator(".graph").focus();
  await page.keyboard.press("ArrowDown");
  expect(await view()).not.toBe(before);
  expect(requests.length).toBe(1);
  expect(faults).toEqual([]);
  await page.close();
});
