/** The verifier on texts: `// ERROR: code` stands above the line that the error concerns. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Graph, portName } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { type GraphLevel, violations } from "../../src/ir/verify.ts";

const folder = fileURLToPath(new URL("verify", import.meta.url));
const files = readdirSync(folder).map((name) => ({ name, text: readFileSync(`${folder}/${name}`, "utf8") }));

/** The line of a text, counted from 1, that holds what a diagnostic names: a value, or the outputs. */
function lineOf(text: string, graph: Graph, where: string): number {
  const [, id] = /%(\d+)/.exec(where) ?? [];
  const node = id === undefined ? undefined : graph.nodes[Number(id)];
  const handles = node?.op === "port" ? [`%${id}:`, `%${portName(node)}:`] : [`%${id} =`];
  const starts = node === undefined ? ["return"] : handles;
  const lines = text.split("\n").map((line) => line.trim());
  const places = starts.map((start) => lines.findIndex((line) => line.startsWith(start)));
  return (places.find((place) => place >= 0) ?? -1) + 1;
}

/** `line code`, for every comment the next line that is none. */
function expectedErrors(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, i) => {
    const [, code] = /^\s*\/\/ ERROR: (\S+)$/.exec(line) ?? [];
    if (code === undefined) return [];
    const next = lines.findIndex((other, at) => at > i && !other.trim().startsWith("//"));
    return [`${next + 1} ${code}`];
  });
}

describe("verify", () => {
  it.each(files)("$name", ({ name, text }) => {
    const [, level] = /^\/\/ RUN: verify (operator|tensor)$/m.exec(text)!;
    const graph = parseGraph(text, name, false);
    const found = violations(graph, level as GraphLevel).map((d) => `${lineOf(text, graph, d.where!)} ${d.code}`);
    expect(found.sort()).toEqual(expectedErrors(text).sort());
    if (found.length === 0) expect(parseGraph(printGraph(graph))).toEqual(parseGraph(text));
  });

  it("has a text for every error that a text can have", () => {
    const seen = new Set(files.flatMap(({ text }) => expectedErrors(text).map((error) => error.split(" ")[1])));
    const all = ["ARITY", "ATTRIBUTE", "LEVEL", "OP", "OUTPUT", "PORT", "SHAPE", "TYPE"];
    expect([...seen].sort()).toEqual(all.map((code) => `IR-VERIFY-${code}`));
  });
});
