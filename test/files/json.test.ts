import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  byCodePoint,
  duplicateKey,
  nestingOf,
  parseJsonObject,
  pythonJson,
  pythonJsonLike,
} from "../../src/runtime/files/json.ts";
import { jsonPlace } from "../../src/runtime/files/json-place.ts";
import { failure, golden } from "./helpers.ts";

describe("JSON as Python writes it", () => {
  const floatFields = new Set([
    "boft_dropout",
    "lora_dropout",
    "module_dropout",
    "scaling",
    "vera_dropout",
    "encoder_dropout",
  ]);
  const cases = [
    "llama-lora",
    "llama-boft",
    "llama-oft",
    "llama-vera",
    "llama-fourierft",
    "llama-ia3",
    "llama-p-tuning",
  ];

  it.each(cases)("gives the config of %s back byte for byte", (name) => {
    expect(readdirSync(join(golden, "cases"))).toContain(name);
    const text = readFileSync(join(golden, "cases", name, "adapter_config.json"), "utf8");
    expect(pythonJson(parseJsonObject(text, name), floatFields)).toBe(text);
  });

  // Expected texts by CPython's json.dumps(value, indent=2, sort_keys=True).
  it("writes numbers as repr does", () => {
    const floats: [number, string][] = [
      [0, "0.0"],
      [-0, "-0.0"],
      [8, "8.0"],
      [1e-4, "0.0001"],
      [6e-5, "6e-05"],
      [1.5e-7, "1.5e-07"],
      [1e15, "1000000000000000.0"],
      [1e16, "1e+16"],
      [1.25e22, "1.25e+22"],
      [1e-100, "1e-100"],
      [0.1 + 0.2, "0.30000000000000004"],
      [Number.NaN, "NaN"],
      [Number.NEGATIVE_INFINITY, "-Infinity"],
    ];
    for (const [value, text] of floats) expect(pythonJson({ x: value }, new Set(["x"]))).toBe(`{\n  "x": ${text}\n}`);
    expect(pythonJson({ x: 8, y: 0.5, z: 2 ** 70 })).toBe(
      '{\n  "x": 8,\n  "y": 0.5,\n  "z": 1180591620717411303424\n}',
    );
  });

  it("writes nested values, empty ones and floats in maps", () => {
    const value = { b: [1, [], {}], a: { k: { z: 1 }, e: null }, c: true, u: undefined };
    const text = [
      "{",
      '  "a": {',
      '    "e": null,',
      '    "k": {',
      '      "z": 1.0',
      "    }",
      "  },",
      '  "b": [',
      "    1,",
      "    [],",
      "    {}",
      "  ],",
      '  "c": true',
      "}",
    ].join("\n");
    expect(pythonJson(value, new Set(["a"]))).toBe(text);
    expect(pythonJson({})).toBe("{}");
  });

  it("escapes what is not ASCII and sorts by code point", () => {
    expect(pythonJson({ "\u{1f600}": '\u00e9"\\\n\u007f', "\uffee": 1 })).toBe(
      '{\n  "\\uffee": 1,\n  "\\ud83d\\ude00": "\\u00e9\\"\\\\\\n\\u007f"\n}',
    );
    expect(["b", "a", "ab", ""].sort(byCodePoint)).toEqual(["", "a", "ab", "b"]);
  });
});

describe("reading JSON", () => {
  it("finds keys that are there twice, in the same object only", () => {
    expect(duplicateKey('{"a":{"x":1},"b":{"x":2},"c":["a","a",{"a":"c"}]}')).toBeUndefined();
    expect(duplicateKey('{"a":{"x":1,"y":":","x"\n:2}}')).toEqual(["a", "x"]);
    expect(duplicateKey('{"a\\"":1,"a\\u0022":1}')).toEqual(['a"']);
    expect(duplicateKey('{"a":"{\\"b\\":1,\\"b\\":2}","b":1}')).toBeUndefined();
  });

  it("counts nesting outside of strings", () => {
    expect(nestingOf('{"[[[":[{}, []]}')).toEqual({ depth: 3, count: 4 });
    expect(nestingOf('{"never closed [')).toEqual({ depth: 1, count: 1 });
  });

  it.each([
    ['{"a":', "1:6"],
    ['{\n  "a": 1,\n  "b": oops\n}', "3:8"],
    ['{\r\n\r\n\t"a" 1}', "3:6"],
    ["", "1:1"],
    ["{}\n{}", "2:1"],
    ["[1,\n2,]", "2:3"],
    ['{"a": 01}', "1:7"],
    ['{"a" : [1 2]}', "1:11"],
    ['{"a": "b', "1:7"],
    ['{"a": "\\q"}', "1:7"],
    ["{1: 2}", "1:2"],
  ])("says in which line and column of %j it stops being JSON", async (text, place) => {
    expect(await failure(() => parseJsonObject(text, "c.json"))).toMatchObject({ where: `c.json:${place}` });
  });

  it("finds the place in any text that was cut off or changed", () => {
    const text = readFileSync(join(golden, "cases/llama-lora/adapter_config.json"), "utf8");
    for (let at = 0; at < text.length - 1; at++) {
      const [line, column] = jsonPlace("f", text.slice(0, at)).split(":").slice(1).map(Number) as [number, number];
      const before = text.slice(0, at).split("\n");
      expect(line).toBeLessThanOrEqual(before.length);
      expect(column).toBeLessThanOrEqual(before[line - 1]!.length + 1);
      const wrong = `${text.slice(0, at)}\u0001${text.slice(at)}`;
      expect(() => JSON.parse(wrong)).toThrow();
      expect(Number(jsonPlace("f", wrong).split(":")[1])).toBe(before.length);
    }
  });

  it("names the file and what it holds", async () => {
    const broken = await failure(() => parseJsonObject('{"a":', "config.json"));
    expect(broken).toMatchObject({ code: "FILE-JSON", where: "config.json:1:6" });
    for (const [text, got] of [
      ["[]", "an array"],
      ["null", "null"],
      ["3", "a number"],
    ] as const) {
      expect(await failure(() => parseJsonObject(text, "f"))).toMatchObject({ code: "FILE-JSON", got });
    }
    const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect((await failure(() => parseJsonObject(deep, "f"))).message).toContain("nested");
  });
});

it("members that were not changed keep their text", () => {
  const text = '{\n  "b": 2.0,\n  "a": [1.0, {"x}": "y,\\"{"}],\n  "c": 3\n}\n';
  const { c: _c, ...rest } = JSON.parse(text) as Record<string, unknown>;
  expect(pythonJsonLike({ ...rest, d: { e: 1 } }, text)).toBe(
    '{\n  "a": [1.0, {"x}": "y,\\"{"}],\n  "b": 2.0,\n  "d": {\n    "e": 1\n  }\n}',
  );
  expect(pythonJsonLike({}, "{}")).toBe("{}");
});
