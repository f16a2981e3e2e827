/** The report in a browser: it opens by itself, answers what people ask in two clicks, and everybody can read it. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { isAll, part } from "../extent.ts";
import { baseModel } from "../golden/helpers.ts";
import { hasChromium } from "./chromium.ts";
import { address, expectReadable, open, reportOf, tab, text, views } from "./report-page.ts";

describe.skipIf(!hasChromium)("the report", () => {
  describe.each(part(["llama-oft", "llama-lora", "llama-boft", "llama-fourierft", "llama-xlora-depth1"], 5))(
    "of %s",
    (name) => {
      let page: Page;
      let opened: Awaited<ReturnType<typeof open>>;
      beforeAll(async () => {
        opened = await open(await reportOf(name));
        page = opened.page;
      });
      afterAll(() => page?.close());

      it("says which kernel takes most, what of the formula it computes, and for which modules", async () => {
        await tab(page, "Kernels");
        const shares = await page
          .locator("main tbody tr")
          .evaluateAll((rows) => rows.map((row) => row.children[6]!.textContent));
        const numbers = shares.map((share) => Number(share.replace(" %", "")));
        expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
        const site = await text(page, ".site-row > .chip >> nth=0");
        const modules = page.locator("main tbody tr", { has: page.locator(".chip", { hasText: site }) });
        await modules.first().locator("td").first().click();
        expect(await text(page, "aside")).toMatch(/Lines of the formula\s+\w+\.ts:\d+/);
        expect(await page.locator("aside .wgsl .wgsl-word").count()).toBeGreaterThan(5);
      });

      it("says which nodes the variables of a kernel hold, and leads to them", async () => {
        await tab(page, "Kernels");
        await page.locator('[aria-label="Kernels"] tbody tr td').first().click();
        const names = page.locator("aside .wgsl button.wgsl-held");
        expect(await names.count()).toBeGreaterThan(1);
        const [first, last] = [names.first(), names.last()];
        await first.hover();
        expect(await text(page, ".wgsl-said")).toMatch(/^(\w+) holds, in dispatch \d+ of \w+,\s+%\d+ \S.*\[[\d,]*\]/);
        expect(await text(page, ".wgsl-said")).toContain(`${await first.textContent()} holds`);
        await last.focus();
        expect(await text(page, ".wgsl-said")).toContain(`${await last.textContent()} holds`);
        const node = (await text(page, ".wgsl-said > :not([hidden]) .chip >> nth=0")).split(" ")[0]!;
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.querySelector("aside h2")?.textContent?.startsWith("%"));
        expect(await text(page, "aside h2")).toContain(`${node} `);
        await page.goBack();
        expect(await page.locator("aside .wgsl").count()).toBe(1);
      });

      it("lights what belongs to a line, a module and a kernel", async () => {
        await tab(page, "Overview");
        await page.locator(".formula-main", { hasText: "W' =" }).first().click();
        expect(await text(page, "aside h2")).toMatch(/\.ts:\d+$/);
        expect(await page.locator(".sites .is-lit").count()).toBeGreaterThan(0);
        await page.locator(".sites .layers .chip").first().click();
        expect(await text(page, "aside")).toMatch(/What was decided[\s\S]*Lines of the formula/);
        expect(await page.locator(".formula .is-lit").count()).toBeGreaterThan(0);
      });

      it("says who holds the memory at the peak, and what is computed more than once", async () => {
        await tab(page, "Memory");
        expect(await text(page, "main")).toMatch(
          /At the peak, dispatch \d+[\s\S]*Computed more than once[\s\S]*Buffers/,
        );
        const [values, again] = await page
          .locator("main table")
          .evaluateAll((tables) => tables.map((table) => table.querySelectorAll("tbody tr").length));
        expect(values).toBeGreaterThan(0);
        expect(again).toBeGreaterThan(0);
        const shares = await page.locator("main .facts dd").evaluateAll((all) => all.map((own) => own.textContent!));
        const percents = shares.map((own) => Number(/([\d.]+) %/.exec(own)?.[1] ?? 0));
        expect(percents.at(-1)).toBe(100);
        expect(percents.slice(0, -1).reduce((sum, own) => sum + own, 0)).toBeCloseTo(100, 0);
        const rectangles = page.locator(".memory rect[data-ref]");
        expect(await rectangles.count()).toBeGreaterThan(10);
        await page.locator("main table tbody tr").first().locator("td").nth(2).click();
        expect(await text(page, "aside")).toMatch(/in memory[\s\S]*from dispatch/);
        expect(await page.locator(".memory rect.is-selected").count()).toBe(1);
      });

      it("says what a rule changed, before and after", async () => {
        await tab(page, "Passes");
        await page.locator("main td .chip", { hasText: "×" }).first().click();
        await page.waitForSelector(".snippet");
        expect(
          (await page.locator(".snippet").count()) + (await page.locator(".snippets .soft").count()),
        ).toBeGreaterThanOrEqual(1);
        expect(await page.locator(".diff .line-before, .diff .line-after").count()).toBeGreaterThan(0);
        const [hits] = /\d+$/.exec((await page.locator("main tr.is-chosen .chip").first().textContent())!)!;
        expect(await page.locator(".tools").first().textContent()).toContain(`1 of ${hits}`);
        expect(await page.locator("main h2 + p").textContent()).toMatch(/(passes|ir\/operators)\/[\w-]+\.ts:\d+$/);
        // What a rule left alone stands where it stood.
        const kept = (side: string): Promise<(string | null)[][]> =>
          page
            .locator(`.${side} .kept`)
            .evaluateAll((all) =>
              all.map((own) => [own.querySelector(".box-title")!.textContent, own.getAttribute("transform")]),
            );
        const after = new Map((await kept("after")) as [string, string][]);
        for (const [name, place] of await kept("before")) expect(after.get(name!) ?? place).toBe(place);
        const shown = await page.locator(".tools").first().textContent();
        await page.keyboard.press("ArrowRight");
        if (!shown!.includes("1 of 1 "))
          await page.waitForFunction(
            (was) => document.querySelector<HTMLElement>(".tools")?.textContent !== was,
            shown,
          );
      });

      it("says what was decided, how clearly, and what would flip it", async () => {
        await tab(page, "Decisions");
        const rows = await page
          .locator("main section > .scroll > table > tbody > tr")
          .evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
        expect(rows.length).toBeGreaterThan(0);
        for (const [, , places, chosen, costs, clear] of rows) {
          expect(Number(places)).toBeGreaterThan(0);
          expect(costs).toContain(chosen);
          expect(clear).toMatch(/× cheaper|equal, first taken|the only way/);
        }
        expect(rows.some(([, , , , , , flip]) => /tokens/.test(flip!))).toBe(true);
      });

      it("draws the graph with layers that open, and walks it by the keyboard", async () => {
        // Nothing is selected: the layer of a selection would be open.
        await page.evaluate(() => {
          location.hash = "view=graph";
        });
        await page.waitForSelector(".graph .is-folded");
        await page.waitForSelector(".graph .frame", { state: "detached" });
        const folded = await page.locator(".graph .box").count();
        await page.locator(".graph .is-folded").first().focus();
        await page.keyboard.press("Enter");
        await page.waitForSelector(".graph .frame");
        expect(await page.locator(".graph .box").count()).toBeGreaterThan(folded);
        await page.waitForSelector(".graph .box:focus");
        await page.locator(".graph .frame text").first().focus();
        await page.keyboard.press("Enter");
        await page.waitForSelector(".graph .is-folded:focus");
        await page.locator(".graph .box").first().focus();
        await page.keyboard.press("ArrowDown");
        const focused = await page.evaluate(() => document.activeElement?.textContent);
        expect(focused).toMatch(/\S/);
        for (const level of ["tensors", "formula"]) {
          await page.getByLabel("Level").selectOption(level);
          await page.waitForFunction(
            (wanted) => new URLSearchParams(location.hash.slice(1)).get("level") === wanted,
            level,
          );
          await page.waitForSelector(".graph .box .box-title:text-matches('^%\\\\d')");
        }
      });

      it("asks for nothing and has no faults", () => {
        expect(opened.faults).toEqual([]);
        // Layouts are made by a worker that is the page's own text.
        expect(new Set(opened.requests.filter((url) => !url.startsWith("blob:")))).toEqual(new Set([address]));
      });
    },
  );

  it.runIf(isAll).each(views)("can be read by all in %s, light and dark, on a desk and on a phone", async (view) => {
    const { page } = await open(await reportOf("llama-lora"));
    await tab(page, view);
    await expectReadable(page);
    await page.close();
  });

  it("has an address for what it shows: links lead in, Back leads back", async () => {
    const { page } = await open(await reportOf("llama-lora"));
    await tab(page, "Kernels");
    const rows = page.locator("main tbody tr");
    await rows.nth(0).locator("td").first().click();
    const first = await text(page, "aside h2");
    await rows.nth(1).locator("td").first().click();
    const second = await text(page, "aside h2");
    expect(second).not.toBe(first);
    const link = new URL(page.url()).hash;
    await page.goBack();
    expect(await text(page, "aside h2")).toBe(first);
    await page.goBack();
    expect(await page.locator("aside").isVisible()).toBe(false);
    await page.goBack();
    expect(await text(page, "[aria-current=page]")).toBe("Overview");
    await page.close();
    const linked = await open(await reportOf("llama-lora"), { hash: link });
    expect(await text(linked.page, "aside h2")).toBe(second);
    expect(await text(linked.page, "[aria-current=page]")).toBe("Kernels");
    await linked.page.close();
  });

  it("sorts kernels by every column and finds things by the keyboard", async () => {
    const { page } = await open(await reportOf("llama-lora"), { hash: "#view=kernels" });
    await page.getByRole("button", { name: "runs" }).click();
    const runs = await page
      .locator("main tbody tr")
      .evaluateAll((rows) => rows.map((row) => Number(row.children[1]!.textContent)));
    expect(runs).toEqual([...runs].sort((a, b) => b - a));
    expect(new Set(runs).size).toBeGreaterThan(1);
    await page.keyboard.press("/");
    await page.keyboard.type("/^%\\d+ einsum .*q_proj/");
    expect(await text(page, ".found p")).toMatch(/^[1-9]\d* found/);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await text(page, "aside")).toMatch(/^[\s\S]*%\d+ einsum[\s\S]*module\s+layers\.\d\.self_attn\.q_proj/);
    const [steps, second] = [await text(page, ".found-steps"), await text(page, "aside h2")];
    expect(steps).toMatch(/2 of \d+/);
    await page.keyboard.press("n");
    expect(await text(page, ".found-steps")).toBe(steps.replace("2 of", "3 of"));
    expect(await text(page, "aside h2")).not.toBe(second);
    await page.keyboard.press("N");
    expect(await text(page, "aside h2")).toBe(second);
    await page.close();
  });

  it("finds lines by their place, and says where an address leads to nothing", async () => {
    const html = await reportOf("llama-lora");
    const { page } = await open(html, { hash: "#site=nowhere.q_proj" });
    expect(await text(page, "aside")).toContain("no module nowhere.q_proj");
    const place = await page.locator(".formula-main").first().getAttribute("data-ref");
    await page.locator("#search").fill(place!.slice("line:".length));
    expect(await page.locator(".found [role=option]").first().getAttribute("data-found")).toBe(place);
    await page.close();
    const { page: other } = await open(html, { hash: "#line=lora.ts:9999" });
    expect(await text(other, "aside")).toContain("no line lora.ts:9999");
    await other.close();
  });

  it("of a program that merges shows its graph, and says in other views that there are no kernels", async () => {
    const program = await compile(await baseModel("llama"), { peft_type: "LORA" }, { mode: "merge" });
    const { page, faults } = await open(inspectionFiles(program).get("report.html")!);
    for (const view of ["Overview", "Kernels", "Memory"]) {
      await tab(page, view);
      await page.waitForFunction(() => document.querySelector("main")?.textContent?.includes("There are no kernels"));
    }
    await tab(page, "Graph");
    await page.waitForSelector(".graph .box");
    expect(faults).toEqual([]);
    await page.close();
  });

  it("draws dispatches of several layers outside of them where layers would seem to read each other", async () => {
    const { page } = await open(await reportOf("llama-oft"), { hash: "#view=graph" });
    await page.waitForSelector(".graph .is-folded");
    const arrows = await page
      .locator(".graph .edge")
      .evaluateAll((all) => all.map((own) => own.getAttribute("d")!.slice(1).split("L")));
    const ways = new Set(arrows.map(([from, to]) => `${from} ${to}`));
    for (const [from, to] of arrows) expect(ways.has(`${to} ${from}`)).toBe(false);
    await page.close();
  });

  it("says how q, k and v share a kernel, and with which sizes", async () => {
    const { page } = await open(await reportOf("llama-lora"), { hash: "#view=kernels" });
    const shared = page.locator("main tbody tr", { has: page.locator(".chip", { hasText: /^q_proj/ }) });
    await shared
      .filter({ has: page.locator(".chip", { hasText: /^v_proj/ }) })
      .first()
      .locator("td")
      .first()
      .click();
    expect(await text(page, "aside")).toMatch(/part 0\s+part 1[\s\S]*module\s+[qkv]_proj\s+[qkv]_proj[\s\S]*Sizes/);
    await page.close();
  });

  it("marks values that several dispatches compute, and says the sizes that declarations name", async () => {
    const { page } = await open(await reportOf("llama-lora"), { hash: "#view=graph&level=tensors" });
    await page.waitForSelector(".graph .is-again");
    expect(await page.locator(".graph .is-again title").first().textContent()).toMatch(/computed in [2-9] dispatches/);
    await tab(page, "Overview");
    expect(await text(page, '[aria-label="Formula"] dl')).toMatch(/^(?=[\s\S]*\bin\s+32\b)[\s\S]*\bout\s+32\b/);
    await page.close();
  });

  it("shows names of strangers as text", async () => {
    const hurt = `</script><script>globalThis.hurt = 1</script><img src=x onerror="globalThis.hurt = 1">`;
    const method = `method stranger on linear { W' = W + B @ A; param A[2, in] = kaiming_uniform at "A"; param B[out, 2] = zeros at "B"; require false warn "${hurt.replaceAll('"', "'")}"; }`;
    const config = { target_modules: ["q_proj"], base_model_name_or_path: hurt };
    const program = await compile(await baseModel("llama"), config, { batch: 1, length: 4, method });
    const { page, faults } = await open(inspectionFiles(program).get("report.html")!);
    for (const view of views) await tab(page, view);
    await tab(page, "Overview");
    expect(await text(page, "main")).toContain("globalThis.hurt");
    expect(await page.evaluate(() => Reflect.get(globalThis, "hurt"))).toBeUndefined();
    expect(faults).toEqual([]);
    await page.close();
  });
});
