/** The page of a training in a browser: curves, the place of a NaN with a link into the program, and nothing that runs or asks. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TrainingReport } from "../../src/cli/training-report.ts";
import { compile } from "../../src/compile/index.ts";
import { lossSvg, type TrainingData, trainingPage } from "../../src/inspect/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { isAll } from "../extent.ts";
import { tinyModel } from "../runtime/tiny-model.ts";
import { hasChromium } from "./chromium.ts";
import { barriers, open, text } from "./report-page.ts";

const folder = mkdtempSync(join(tmpdir(), "webpeft-training-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hurt = `</style></svg><script>globalThis.hurt = 1</script><img src=x onerror="globalThis.hurt = 1">`;

const steps = (count: number): TrainingData["steps"] =>
  Array.from({ length: count }, (_unused, step) => ({
    ...{ step, loss: 5 / (1 + step / 50) + Math.sin(step), lr: 1e-3, grad_norm: 1 + (step % 7) },
    ...{ tokens: 128, tokens_per_s: 1000, ms: 128 },
  }));

const data: TrainingData = {
  title: `training of ${hurt}`,
  status: "finished after 3000 steps",
  facts: [["data", hurt]],
  steps: steps(3000),
  evaluations: [
    { step: 1000, loss: 2 },
    { step: 3000, loss: 1.5 },
  ],
  failure: {
    ...{ code: "TRAIN-NOT-FINITE", message: hurt, where: hurt, help: hurt, step: 3000, program: "a-program.html" },
    origin: {
      ...{ stage: "micro", node: hurt, id: 7, type: "f32[2]", line: hurt, scope: hurt, kernel: hurt, dispatch: 3 },
      result: { node: hurt, least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY, notFinite: 2, count: 2 },
      inputs: [{ node: hurt, least: -1, most: 1e9, notFinite: 0, count: 2 }],
    },
  },
};

it("has curves that are thinned to what can be seen, as a file of its own too", () => {
  const [page, svg] = [trainingPage(data), lossSvg(data)];
  expect(page.length).toBeLessThan(200_000);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox/);
  expect(svg).toContain('aria-label="Loss. of each step: 5 to ');
  expect(svg.match(/class="marks"/g)).toHaveLength(2);
  expect(svg).toContain("prefers-color-scheme: dark");
  // The largest loss of all is on the curve.
  const most = Math.max(...data.steps.map(({ loss }) => loss));
  const only = (points: TrainingData["steps"]): string => lossSvg({ ...data, steps: points, evaluations: [] });
  expect(only(data.steps)).not.toBe(only(data.steps.filter(({ loss }) => loss < most)));
  expect(lossSvg({ ...data, steps: [] })).toBe("");
});

it.each([1, 2, 40])("is a page after %i steps, whatever their numbers", (count) => {
  const flat = steps(count).map((one) => ({ ...one, loss: 0, lr: 0, grad_norm: 0 }));
  const page = trainingPage({ ...data, steps: flat, evaluations: [], failure: undefined });
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});

describe.runIf(isAll && hasChromium)("in a browser", () => {
  it.each([
    [1280, false],
    [390, true],
  ])(
    "can be read by all, shows names of strangers as text and asks for nothing, %i pixels wide, dark: %s",
    async (width, dark) => {
      const { page, faults, requests } = await open(trainingPage(data), { width, dark });
      expect(await barriers(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
      expect(await page.locator("svg").count()).toBe(4);
      expect(await text(page, "main")).toContain("globalThis.hurt");
      expect(await text(page, ".failure")).toMatch(/TRAIN-NOT-FINITE at step 3001[\s\S]*given .*\s-1\s+1.0e9\s+0 of 2/);
      expect(await page.evaluate(() => Reflect.get(globalThis, "hurt"))).toBeUndefined();
      expect(faults).toEqual([]);
      expect(requests.length).toBe(1);
      await page.close();
    },
  );

  it("leads from a NaN to its node in the program", async () => {
    const method = `method hot on linear { W' = diag(exp(G)) @ W; param G[out] = zeros at "G"; }`;
    const config = { peft_type: "HOT", target_modules: ["q_proj"] };
    const program = await compile(await tinyModel(), config, { batch: 1, length: 4, method, methodFile: "hot.txt" });
    const session = await program.start({ device: "cpu" });
    const state = await session.optimizerState();
    await session.restore({ ...state, params: state.params.map(() => 100) });
    const file = join(folder, "run.html");
    const report = new TrainingReport(file, program, []);
    const error = await session
      .step({ input_ids: [1, 2, 3, 4], labels: [1, 2, 3, 4] })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(WebpeftError);
    report.fail(error, 0);
    await report.write({ json: true });
    const { page } = await open(readFileSync(file, "utf8"));
    const link = new URL((await page.locator(".failure a").getAttribute("href"))!, "http://localhost/");
    expect(link.pathname).toBe("/run-program.html");
    await page.close();
    const linked = await open(readFileSync(join(folder, "run-program.html"), "utf8"), { hash: link.hash });
    expect(await text(linked.page, "aside h2")).toMatch(/^%\d+ exp$/);
    expect(await text(linked.page, "aside")).toContain("hot.txt:1");
    await linked.page.close();
  });
});
