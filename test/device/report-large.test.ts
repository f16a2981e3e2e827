/** The report of a program with ten thousand nodes: it is small, opens at once, and its graph moves while one looks at it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { isAll } from "../extent.ts";
import { tinyModel } from "../runtime/tiny-model.ts";
import { hasChromium } from "./chromium.ts";
import { open, tab } from "./report-page.ts";

type Opened = Awaited<ReturnType<typeof open>>;

// Times are those of a machine that does other work too.
describe.runIf(isAll && hasChromium)("the report of a program with ten thousand nodes", () => {
  let html: string;
  let opened: Opened;
  let openedMs: number;
  beforeAll(async () => {
    const model = await tinyModel({ num_hidden_layers: 48 });
    const config = { peft_type: "LORA", task_type: "CAUSAL_LM", r: 2, target_modules: "all-linear" };
    const program = await compile(model, config, { batch: 1, length: 8 });
    expect(program.stages.find(({ name }) => name === "micro")!.graph.nodes.length).toBeGreaterThan(10_000);
    html = inspectionFiles(program).get("report.html")!;
    const from = performance.now();
    opened = await open(html);
    openedMs = performance.now() - from;
  });
  afterAll(() => opened?.page.close());

  it("has less than 3 MB and opens", () => {
    expect(html.length).toBeLessThan(3e6);
    expect(openedMs).toBeLessThan(10_000);
    expect(opened.faults).toEqual([]);
  });

  it("draws the graph, and moves it", async () => {
    const { page } = opened;
    const from = performance.now();
    await tab(page, "Graph");
    await page.waitForSelector(".graph .is-folded");
    await page.locator(".graph .is-folded").first().click();
    await page.waitForSelector(".graph .frame");
    expect(performance.now() - from).toBeLessThan(20_000);
    await page.evaluate(() => {
      const tasks: number[] = [];
      Reflect.set(globalThis, "longTasks", tasks);
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) tasks.push(duration);
      }).observe({ type: "longtask" });
    });
    const box = (await page.locator(".graph").boundingBox())!;
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const view = (): Promise<string> => page.evaluate(() => document.querySelector(".graph")!.outerHTML.slice(0, 2000));
    const before = await view();
    await page.mouse.move(x, y);
    for (let i = 0; i < 20; i++) await page.mouse.wheel(0, i % 2 === 0 ? 240 : -120);
    await page.mouse.down();
    for (let i = 1; i <= 20; i++) await page.mouse.move(x + 5 * i, y + 3 * i);
    await page.mouse.up();
    expect(await view()).not.toBe(before);
    const longest = await page.evaluate(() => Math.max(0, ...(Reflect.get(globalThis, "longTasks") as number[])));
    expect(longest).toBeLessThan(1500);
    expect(opened.faults).toEqual([]);
  });
});
