import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { hashGraph, sha256 } from "../../src/ir/hash.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { verify } from "../../src/ir/verify.ts";
import { randomGraph } from "./random-graphs.ts";

const withoutFrom = (graph: Graph): Graph => ({ ...graph, nodes: graph.nodes.map(({ from: _from, ...node }) => node) });

describe("print and parse", () => {
  it("is the identity on random graphs, and print is canonical", () => {
    fc.assert(
      fc.property(randomGraph, (graph) => {
        verify(graph, "operator");
        const text = printGraph(graph);
        const parsed = parseGraph(text);
        expect(parsed).toEqual(withoutFrom(graph));
        expect(printGraph(parsed)).toBe(text);
      }),
      { seed: 17, numRuns: 400 },
    );
  });

  it("blanks, line ends and free comments do not matter", () => {
    const text = printGraph(sample());
    const loose = text.replaceAll(/ +/g, "   ").replaceAll("\n", '\r\n\r\n  // free: any words, (even) "odd" ones\r\n');
    expect(parseGraph(loose)).toEqual(sample());
  });

  it("writes what the documentation shows", () => {
    expect(printGraph(sample())).toBe(
      [
        'func @main(%x: f32[4,12] input, %1: f32[2,12] param "layers.0.lora_A.weight") {',
        "  %2 = op.dense %1 : op[2,12]  // layers.0 lora.ts:6",
        "  %3 = op.apply %2, %x : f32[4,2]",
        "  return y = %3",
        "}",
        "",
      ].join("\n"),
    );
  });

  it("reads statements that are numbered from 0 behind named parameters", () => {
    const graph = parseGraph(
      "func @f(%x: f32[2] input, %A: f32[2] param) { %0 = add %x, %A : f32[2] %1 = neg %0 : f32[2] return y = %1 }",
    );
    expect(graph.nodes.map((node) => node.op)).toEqual(["port", "port", "add", "neg"]);
    expect(graph.nodes[2]!.inputs).toEqual([0, 1]);
    expect(parseGraph(printGraph(graph))).toEqual(graph);
  });

  it("keeps the places of ports that come after statements", () => {
    const builder = new Builder("f");
    const one = builder.constant(1, [2]);
    const graph = builder.finish([{ name: "y", node: builder.plus(one, builder.port("x", "input", "f32", [2])) }]);
    expect(graph.nodes.map((node) => node.op)).toEqual(["constant", "port", "add"]);
    expect(parseGraph(printGraph(graph))).toEqual(graph);
    const late: Graph = { ...graph, nodes: graph.nodes.slice(0, 2), outputs: [{ name: "y", node: 1 }] };
    expect(printGraph(late)).toContain('%1: f32[2] input "x"');
    expect(parseGraph(printGraph(late))).toEqual(late);
  });

  it("long headers and returns are broken into lines", () => {
    const builder = new Builder("long");
    const ids = Array.from({ length: 20 }, (_unused, i) => builder.port(`port_number_${i}`, "input", "f32", [2]));
    const graph = builder.finish(ids.map((node, i) => ({ name: `output_number_${i}`, node })));
    const text = printGraph(graph);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(121);
    expect(parseGraph(text)).toEqual(graph);
  });
});

function sample(): Graph {
  const builder = new Builder("main");
  const x = builder.port("x", "input", "f32", [4, 12]);
  const A = builder.port("layers.0.lora_A.weight", "param", "f32", [2, 12]);
  const operator = builder.within({ scope: "layers.0", location: { file: "lora.ts", line: 6 } }, () =>
    builder.dense(A),
  );
  return builder.finish([{ name: "y", node: builder.apply(operator, x) }]);
}

describe("hash", () => {
  it("is SHA-256 of the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        expect(sha256(text)).toBe(createHash("sha256").update(text).digest("hex"));
      }),
      { seed: 3, numRuns: 200 },
    );
    for (const length of [0, 55, 56, 63, 64, 65, 100_000]) {
      expect(sha256("a".repeat(length))).toBe(createHash("sha256").update("a".repeat(length)).digest("hex"));
    }
    expect(hashGraph(sample())).toBe(sha256(printGraph(sample())));
  });

  it("is equal exactly where the text is", () => {
    fc.assert(
      fc.property(randomGraph, randomGraph, (a, b) => {
        expect(hashGraph(a) === hashGraph(b)).toBe(printGraph(a) === printGraph(b));
        expect(hashGraph(parseGraph(printGraph(a)))).toBe(hashGraph(a));
      }),
      { seed: 4, numRuns: 50 },
    );
  });

  it("ignores `from` and the order of attributes, and sees everything else", () => {
    const graph = sample();
    const change = (at: number, change: object): Graph => ({
      ...graph,
      nodes: graph.nodes.map((node, i) => (i === at ? { ...node, ...change } : node)),
    });
    const reversed = Object.fromEntries(Object.entries(graph.nodes[0]!.attributes).reverse());
    expect(hashGraph(change(2, { from: [1, 2] }))).toBe(hashGraph(graph));
    expect(hashGraph(change(0, { attributes: reversed }))).toBe(hashGraph(graph));
    for (const other of [
      change(2, { scope: "layers.1" }),
      change(2, { location: { file: "lora.ts", line: 7 } }),
      change(3, { inputs: [2, 1] }),
      change(3, { op: "neg" }),
      change(0, { attributes: { ...graph.nodes[0]!.attributes, name: "z" } }),
      { ...graph, name: "other" },
      { ...graph, outputs: [{ name: "z", node: 3 }] },
      { ...graph, outputs: [{ name: "y", node: 2 }] },
    ]) {
      expect(hashGraph(other)).not.toBe(hashGraph(graph));
    }
  });
});

/** What is reported for a text: `code line:column`, sorted by place as reported. */
function reports(text: string): string[] {
  try {
    parseGraph(text, "f");
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    return error.diagnostics.map((d) => `${d.code.replace("IR-TEXT-", "")} ${d.where?.replace("f:", "")}`);
  }
  return [];
}

const inBody = (...lines: string[]): string =>
  ["func @f(%x: f32[2] input) {", ...lines, "  return y = %1 }"].join("\n");

describe("errors of a text", () => {
  it("are none for a sound one", () => {
    expect(reports(inBody("  %1 = neg %x : f32[2]"))).toEqual([]);
  });

  it.each([
    ["no graph", "hello", ["SYNTAX 1:1"]],
    ["nothing", "", ["SYNTAX 1:1"]],
    ["a foreign character", inBody("  %1 = neg $x : f32[2]"), ["SYNTAX 2:12"]],
    ["an open string", 'func @"f() { return }', ["SYNTAX 1:7"]],
    ["a statement without type", inBody("  %1 = neg %x"), ["SYNTAX 3:3"]],
    ["an end that is missing", "func @f() { return", ["SYNTAX 1:19"]],
    ["something behind the end", "func @f() { return } }", ["SYNTAX 1:22"]],
    [
      "errors on several lines",
      inBody("  %1 = neg %x", "  %2 = neg %x : f32[2]", "  %3 = neg %x : f32 2"),
      ["SYNTAX 3:3", "SYNTAX 4:21", "SYNTAX 5:3"],
    ],
    ["lists without end", inBody(`  %1 = neg %x {a: ${"[".repeat(50_000)}} : f32[2]`), ["SYNTAX 2:117"]],
    ["an unknown op", inBody("  %1 = nge %x : f32[2]"), ["OP 2:8"]],
    ["an unknown value", inBody("  %1 = add %x, %z : f32[2]"), ["VALUE 2:16"]],
    ["a later value", inBody("  %1 = neg %2 : f32[2]", "  %2 = neg %x : f32[2]"), ["VALUE 2:12"]],
    ["an output without value", "func @f() { return y = %0 }", ["VALUE 1:24"]],
    ["a wrong type", inBody("  %1 = neg %x : f32[3]"), ["TYPE 2:17"]],
    ["inputs of a wrong type", inBody("  %1 = not %x : bool[2]"), ["TYPE 2:8"]],
    ["another number of inputs", inBody("  %1 = neg %x, %x : f32[2]"), ["TYPE 2:8"]],
    ["an unknown dtype", inBody("  %1 = neg %x : f64[2]"), ["TYPE 2:17", "TYPE 2:17"]],
    ["an empty axis", "func @f(%x: f32[0] input) { return }", ["TYPE 1:13"]],
    ["an operator for a parameter", "func @f(%x: op[2,2] input) { return }", ["TYPE 1:13"]],
    ["a missing attribute", inBody("  %1 = cast %x : f32[2]"), ["ATTRIBUTE 2:8"]],
    ["a foreign attribute", inBody("  %1 = neg %x {a: 1} : f32[2]"), ["ATTRIBUTE 2:8"]],
    ["an attribute twice", inBody('  %1 = cast %x {dtype: "f32", dtype: "f32"} : f32[2]'), ["ATTRIBUTE 2:31"]],
    ["an attribute that the head has", "func @f(%x: f32[2] input {shape: [3]}) { return }", ["ATTRIBUTE 1:27"]],
    ["an unknown role", "func @f(%x: f32[2] output) { return }", ["PORT 1:20"]],
    ["a parameter without name", "func @f(%0: f32[2] input) { return }", ["PORT 1:9"]],
    ["two parameters of one name", 'func @f(%x: f32[2] input, %1: f32[2] input "x") { return }', ["PORT 1:27"]],
    ["one name twice", "func @f(%x: f32[2] input, %x: f32[2] input) { return }", ["VALUE 1:27"]],
    ["a statement with a name", inBody("  %y = neg %x : f32[2]"), ["VALUE 2:3"]],
    ["numbers that fall", inBody("  %2 = neg %x : f32[2]", "  %1 = exp %x : f32[2]"), ["VALUE 3:3"]],
    ["a gap in the numbers", inBody("  %7 = neg %x : f32[2]"), ["VALUE 2:3"]],
    ["a number with a zero in front", inBody("  %01 = neg %x : f32[2]"), ["VALUE 2:3"]],
    ["two outputs of one name", "func @f(%x: f32[2] input) { return y = %x, y = %x }", ["VALUE 1:44"]],
    ["words behind a statement", inBody("  %1 = neg %x : f32[2] // turn it around"), ["NOTE 2:24"]],
    [
      "several, of all kinds",
      inBody("  %1 = nge %x : f32[2]", "  %2 = neg %1 : f32[3]  // a b c"),
      ["NOTE 3:25", "OP 2:8", "TYPE 3:17"],
    ],
  ] as const)("%s", (_name, text, expected) => {
    expect(reports(text)).toEqual(expected);
  });

  it("say what was expected, what is there, and how it is written", () => {
    expect(() => parseGraph("func @f(%x f32[2] input) { return }", "f.ir")).toThrow(
      expect.objectContaining({
        where: "f.ir:1:12",
        expected: '":"',
        got: '"f32"',
        help: expect.stringContaining("%x: f32[4,12] input"),
      }),
    );
    expect(() => parseGraph(inBody("  %1 = nge %x : f32[2]"))).toThrow(
      expect.objectContaining({ help: "the nearest is neg" }),
    );
  });

  it("never anything but a WebpeftError, whatever the text", () => {
    const pieces = fc.constantFrom(
      "func",
      "@",
      "f",
      "(",
      ")",
      "{",
      "}",
      "%x",
      "%0",
      "%1",
      ":",
      "f32",
      "[",
      "]",
      "2",
      ",",
      "input",
      "=",
      "neg",
      "return",
      '"s"',
      "//",
      "\n",
      "true",
      "$",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 25 }), fc.nat({ max: 60 }), (words, cut) => {
        const whole = inBody("  %1 = neg %x : f32[2]");
        const text = `${whole.slice(0, cut)}${words.join(" ")}${whole.slice(cut)}`;
        try {
          parseGraph(text);
        } catch (error) {
          expect(error).toBeInstanceOf(WebpeftError);
        }
      }),
      { seed: 6, numRuns: 500 },
    );
  });
});
