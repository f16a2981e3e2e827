/** Places in the texts of methods are those of the file that a user opens: of built-in ones, of one's own, of texts in configs. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { compile, loadModel } from "../../src/index.ts";
import type { WebpeftError } from "../../src/ir/diagnostics.ts";
import { parseMethod } from "../../src/methods/index.ts";
import { golden } from "../files/helpers.ts";

const model = await loadModel(`${golden}/bases/llama`);

it.each(["lora", "oft", "ia3", "loha"])("%s: a node's place is the line of its formula", async (name) => {
  const config = JSON.parse(readFileSync(`${golden}/cases/llama-${name}/adapter_config.json`, "utf8")) as object;
  const program = await compile(model, config, { mode: "infer", batch: 1, length: 4 });
  const places = program.graph("operator").nodes.flatMap(({ location }) => (location === undefined ? [] : [location]));
  const lines = readFileSync(`src/methods/peft/${name}.ts`, "utf8").split("\n");
  expect(places.length).toBeGreaterThan(5);
  const named = new Set(places.map(({ file, line }) => `${file}: ${lines[line - 1]}`));
  for (const text of named) expect(text).toMatch(/\.ts: .*(W'|let |param )/);
});

const faulty = (first: string, end: string): string => [first, "", "\tW' = W + wrong;", "}"].join(end);

it.each([
  ["lines end as on Unix", faulty("method own on linear {", "\n")],
  ["lines end as on Windows", faulty("method own on linear {", "\r\n")],
  ["names of two UTF-16 units stand before", faulty("method own on linear { // \u{1f600}", "\n")],
])("a fault in a text of one's own, where %s", async (_name, text) => {
  const fails = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  const found = fails(() => parseMethod(text, "own.method")) as WebpeftError;
  expect([found.code, found.where]).toEqual(["METHOD-NAME", "own.method:3:11"]);
  const config = { peft_type: "OWN", target_modules: ["q_proj"], webpeft_method: text };
  const compiled = await compile(model, config, { mode: "infer", batch: 1, length: 4 }).catch((e: WebpeftError) => e);
  expect((compiled as WebpeftError).where).toMatch(/:3:11$/);
});
