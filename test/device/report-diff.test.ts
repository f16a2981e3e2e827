/** Two reports compared in a browser. */
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { compareDumps } from "../../src/inspect/diff.ts";
import { comparisonPage } from "../../src/inspect/index.ts";
import { dumpOf } from "../../src/inspect/page/compared.ts";
import { bothElements } from "../../src/inspect/page/graph-both.ts";
import { elementsOf } from "../../src/inspect/page/graph-elements.ts";
import { ProgramModel } from "../../src/inspect/page/model.ts";
import { lineDiff } from "../../src/inspect/page/text-diff.ts";
import type { ReportData } from "../../src/inspect/report-types.ts";
import { isAll } from "../extent.ts";
import { hasChromium } from "./chromium.ts";
import { barriers, open, reportOf, tab, text } from "./report-page.ts";

const dataOf = (html: string, id = "data"): ReportData =>
  JSON.parse(new RegExp(`<script type="application/json" id="${id}">(.*?)</script>`).exec(html)![1]!) as ReportData;

let [lora, oft]: string[] = [];
beforeAll(async () => {
  [lora, oft] = await Promise.all(["llama-lora", "llama-oft"].map(reportOf));
});

const file = (name: string, content: string) => ({ name, mimeType: "text/html", buffer: Buffer.from(content) });

describe("lines of two texts", () => {
  it.each([
    ["", "", ""],
    ["ab", "ab", " a b"],
    ["abc", "abd", " a b-c+d"],
    ["xab", "aby", "-x a b+y"],
    ["", "ab", "+a+b"],
    ["ab", "", "-a-b"],
    ["abcabba", "cbabac", "-a-b c-a b+a b a+c"],
  ])("of %j and %j are %j", (a, b, lines) => {
    expect(
      lineDiff([...a], [...b])
        .map((line) => line.join(""))
        .join(""),
    ).toBe(lines);
  });
});

describe("a report of two programs", () => {
  it("has the data of both, as they were written, packed or not", () => {
    const page = comparisonPage(lora!, oft!)!;
    expect([dataOf(page), dataOf(page, "other")]).toEqual([dataOf(lora!), dataOf(oft!)]);
    const packed = lora!.replace(
      /<script type="application\/json" id="data">(.*?)<\/script>/,
      (_all, json: string) => `<script type="application/gzip" id="data">${gzipSync(json).toString("base64")}</script>`,
    );
    expect(comparisonPage(oft!, packed)).toContain('<script type="application/gzip" id="other">');
    expect(comparisonPage(lora!, "<p>no report</p>")).toBeUndefined();
  });

  it("draws all elements of both graphs, each once, with what they read", () => {
    const [a, b] = [lora!, oft!].map((html) => new ProgramModel(dataOf(html))) as [ProgramModel, ProgramModel];
    for (const level of ["kernels", "tensors", "formula"]) {
      const [ofA, ofB] = [elementsOf(a, "micro", level), elementsOf(b, "micro", level)];
      const all = bothElements(ofA, ofB);
      const times = (...among: string[]): number => all.filter((own) => among.includes(own.among!)).length;
      expect(times("both", "differs", "only-a")).toBe(ofA.length);
      expect(times("both", "differs", "only-b")).toBe(ofB.length);
      expect(times("only-a") * times("only-b")).toBeGreaterThan(0);
      for (const { inputs } of all) for (const input of inputs) expect(all[input]).toBeDefined();
      expect(new Set(bothElements(ofA, ofA).map(({ among }) => among))).toEqual(new Set(["both"]));
    }
  });

  it("is compared as dumps are", () => {
    const dump = dumpOf(new ProgramModel(dataOf(lora!)));
    const { facts, kernels, flips, ops } = compareDumps(dump, dump);
    expect(facts.filter(({ a, b }) => a !== b)).toEqual([]);
    expect([kernels.resized, kernels.onlyA, kernels.onlyB, flips, ops]).toEqual([[], [], [], [], []]);
    expect(kernels.same.length).toBe(dataOf(lora!).kernels.length);
  });
});

describe.runIf(isAll && hasChromium)("the report, with another one", () => {
  it("compares with a file that is chosen: figures, kernels, texts, decisions, graphs", async () => {
    const { page, faults, requests } = await open(lora!);
    await tab(page, "Diff");
    expect(await text(page, "main")).toContain("Drop a second report.html");
    await page.setInputFiles("input[type=file]", file("oft.html", oft!));
    await page.waitForSelector("main table");
    expect(await text(page, "main")).toMatch(
      /A lora on llama[\s\S]*B oft on llama[\s\S]*Figures[\s\S]*distinct kernels\s+\d+\s+\d+\s+\+\d+[\s\S]*Kernels[\s\S]*Decisions that flipped[\s\S]*Operations/,
    );
    for (const kind of ["onlyA", "onlyB"]) {
      await page.getByLabel("Show").selectOption(kind);
      await page.getByRole("button", { name: "compare", exact: true }).first().click();
      await page.waitForSelector(".diff .line-before");
      expect(await page.locator(".diff .line-after").count()).toBeGreaterThan(0);
    }
    await page.locator("main td .chip").first().click();
    expect(await text(page, "aside")).toMatch(/in B[\s\S]*Lines of the formula/);
    expect(await barriers(page)).toEqual([]);
    await page.getByRole("button", { name: "Graph of both" }).click();
    await page.waitForSelector(".graph .box");
    await page.locator(".graph .is-folded").first().click();
    await page.waitForSelector(".graph .only-a");
    await page.getByRole("button", { name: "Fit", exact: true }).click();
    await page.locator(".graph .only-b").first().click();
    expect(await text(page, "aside")).toMatch(/in B[\s\S]*Dispatch \d+ of/);
    expect([faults, requests.length]).toEqual([[], requests.filter((url) => url.startsWith("blob:")).length + 1]);
    await page.close();
  });

  it("takes a file that is dropped, and says what is wrong with one that is no report", async () => {
    const { page, faults } = await open(oft!);
    const drop = async (name: string, content: string): Promise<void> => {
      const transfer = await page.evaluateHandle(
        ([own, text]) => {
          const made = new DataTransfer();
          made.items.add(new File([text!], own!, { type: "text/html" }));
          return made;
        },
        [name, content],
      );
      await page.dispatchEvent("main", "drop", { dataTransfer: transfer });
    };
    const wrong = [
      ["<p>nothing</p>", "is no report of webpeft"],
      ['<script type="application/json" id="data">{"stages": [</script>', "is damaged"],
      ['<script type="application/gzip" id="data">AAAA</script>', "is damaged"],
      ['<script type="application/json" id="data">{"cells": []}</script>', "is no report of webpeft"],
      [lora!.replace('"version":1', '"version":0'), "another version of webpeft"],
    ] as const;
    for (const [content, says] of wrong) {
      await drop("some.html", content);
      await page.waitForSelector(`.problem:text("${says}")`);
    }
    await drop("lora.html", lora!);
    await page.waitForSelector("main table");
    expect(await text(page, "main")).toMatch(/A oft on llama[\s\S]*B lora on llama/);
    expect(await page.locator(".problem").count()).toBe(0);
    expect(faults).toEqual([]);
    await page.close();
  });

  it("opens a file of both with what differs", async () => {
    const { page, faults } = await open(comparisonPage(lora!, oft!)!, { width: 390, dark: true });
    expect(await text(page, "[aria-current=page]")).toBe("Diff");
    expect(await text(page, "main")).toMatch(/Figures[\s\S]*Kernels/);
    expect(await barriers(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    expect(faults).toEqual([]);
    await page.close();
  });
});
