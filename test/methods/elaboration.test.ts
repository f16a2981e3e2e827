import { describe, expect, test } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { FieldValue } from "../../src/methods/fields.ts";
import { type Method, methods, parseMethod } from "../../src/methods/index.ts";
import { diagonal, difference, type ToyOptions, times, toy } from "./helpers.ts";

const method = (name: string): Method => methods.get(name)!;

/** The error of an elaboration, or `fine`. */
function fault(m: Method, fields: Record<string, FieldValue> = {}, options: ToyOptions = {}): WebpeftError | "fine" {
  try {
    toy(m, fields, options);
    return "fine";
  } catch (error) {
    if (error instanceof WebpeftError) return error;
    throw error;
  }
}

describe("constraints", () => {
  const errors: [string, Record<string, FieldValue>, string][] = [
    [
      "OFT",
      { r: 0, oft_block_size: 0 },
      "Either `r` or `oft_block_size` must be non-zero. Currently, r = 0 and oft_block_size = 0.",
    ],
    [
      "OFT",
      { r: 8, oft_block_size: 32 },
      "You can only specify either r (8) or oft_block_size (32), but not both simultaneously, because r x oft_block_size == in_features.",
    ],
    ["BOFT", { boft_block_size: 5 }, "in_features (12) must be divisible by boft_block_size (5)!"],
    ["BOFT", { boft_block_size: 0, boft_block_num: 5 }, "in_features (12) must be divisible by boft_block_num (5)!"],
    [
      "BOFT",
      { boft_block_size: 0 },
      "Either `boft_block_size` or `boft_block_num` must be non-zero. Currently, boft_block_size = 0 and boft_block_num = 0.",
    ],
    [
      "BOFT",
      { boft_block_size: 3, boft_n_butterfly_factor: 2 },
      "With more than one factor the width of a block (3) must be even!",
    ],
    [
      "BOFT",
      { boft_block_size: 4, boft_n_butterfly_factor: 3 },
      "in_features (12) must be a multiple of boft_block_size (4) times 2 raised to the power of boft_n_butterfly_factor - 1 (4)!",
    ],
    [
      "BOFT",
      { boft_block_size: 0, boft_block_num: 3, boft_n_butterfly_factor: 2 },
      "boft_block_num (3) must be a multiple of 2 raised to the power of boft_n_butterfly_factor - 1 (2)!",
    ],
    ["LORA", { lora_bias: true, use_dora: true }, "The argument lora_bias=True is not supported together with DoRA."],
    [
      "LORA",
      { init_lora_weights: "pissa" },
      "init_lora_weights = pissa is not supported: it needs data, or PEFT changes the base weight with it when it loads the file.",
    ],
    ["IA3", {}, "Please specify `feedforward_modules` in `peft_config`"],
    [
      "FOURIERFT",
      { n_frequency: 97 },
      "`n_frequency` should be less than or equal to the product of the input and output dimensions but the value passed is 97 and the product is 96",
    ],
  ];
  test.each(errors)("%s %o", (name, fields, message) => {
    expect(fault(method(name), fields)).toMatchObject({ code: "METHOD-CONSTRAINT", message });
  });

  test("the divisors near a wrong size are told", () => {
    expect(fault(method("BOFT"), { boft_block_size: 5 })).toMatchObject({ help: "Nearest divisors: 4, 6." });
  });

  test("OFT adjusts a size that does not divide, with a warning; strict refuses", () => {
    const t = toy(method("OFT"), { oft_block_size: 5 });
    expect(t.elaboration.tensors[0]!.shape).toEqual([3, 6]);
    expect(t.sink.diagnostics).toEqual([
      expect.objectContaining({
        code: "METHOD-CONSTRAINT",
        severity: "warning",
        message: "Invalid `oft_block_size` (5)! Adjusted to 4, the divisor of in_features (12) that is nearest.",
        where: expect.stringContaining("at model.layers.0.self_attn.q_proj"),
      }),
    ]);
    expect(fault(method("OFT"), { oft_block_size: 5 }, { strict: true })).toMatchObject({ code: "METHOD-CONSTRAINT" });
  });

  test("OFT: fields without effect and old files are told", () => {
    const messages = (fields: Record<string, FieldValue>, options: ToyOptions = {}) =>
      toy(method("OFT"), { oft_block_size: 4, ...fields }, options).sink.diagnostics.map((d) => d.message);
    expect(messages({})).toEqual([]);
    expect(messages({ module_dropout: 0.5 })).toEqual([
      "module_dropout = 0.5 has no effect: PEFT makes the dropout and never calls it.",
    ]);
    expect(messages({ peft_version: "0.17.0" }, { loaded: true })).toHaveLength(1);
    expect(messages({ peft_version: "0.17.0", use_cayley_neumann: false }, { loaded: true })).toEqual([]);
    expect(messages({ peft_version: "0.18.0" }, { loaded: true })).toEqual([]);
    expect(fault(method("OFT"), {}, { present: ["peft_version", "r"] })).toMatchObject({
      message: expect.stringContaining("OFT has been updated since PEFT 0.14.0."),
    });
  });

  test("a demand in a block counts for the sites of that block", () => {
    const m = parseMethod(`method m {
  config a: int = 1;
  on linear { require a > 1 else "a is {a}"; W' = W; }
}`);
    expect(fault(m)).toMatchObject({ code: "METHOD-CONSTRAINT", message: "a is 1" });
    expect(fault(m, { a: 2 })).toBe("fine");
  });
});

test("a method of one's own in a few lines", () => {
  const m = parseMethod(
    `method twoscales on linear {
  config spread: float = 0.1 (minimum: 0);
  param a[out] = normal(1, spread) at "scale_out";
  param c[in] = ones at "scale_in";
  W' = diag(a) @ W @ diag(c);
  b' = a .* b;
}`,
    "mine",
  );
  const t = toy(m);
  expect(m.peftType).toBe("TWOSCALES");
  expect(m.fields).toEqual([{ name: "spread", type: "float", nullable: false, default: 0.1, minimum: 0 }]);
  expect(
    difference(t.weight(), times(diagonal(t.values("scale_out")), t.W, diagonal(t.values("scale_in")))),
  ).toBeLessThan(1e-12);
  const node = t.graph.nodes.find((n) => n.op === "op.diag")!;
  expect(node).toMatchObject({ scope: "model.layers.0.self_attn.q_proj", location: { file: "mine", line: 5 } });
});

test("a method that changes the bias alone leaves the weight as it is", () => {
  const m = parseMethod('method m on linear { param beta[out] = zeros at "beta"; b\' = b + beta; }');
  const t = toy(m);
  expect(t.bias()).toEqual(t.b.map((x, i) => x + t.values("beta")[i]!));
  expect(difference(t.weight(), t.W)).toBe(0);
});

describe("dropout", () => {
  const ops = (name: string, fields: Record<string, FieldValue>, train: boolean) =>
    toy(method(name), fields, { train }).graph.nodes.filter((node) => node.op === "op.dropout");

  test("stands in training programs only, with a stream of its own", () => {
    expect(ops("LORA", { lora_dropout: 0.25 }, false)).toEqual([]);
    expect(ops("LORA", { lora_dropout: 0 }, true)).toEqual([]);
    expect(ops("LORA", { lora_dropout: 0.25 }, true)).toEqual([
      expect.objectContaining({ attributes: { size: 12, p: 0.25, site: 0, tensor: expect.any(Number) } }),
    ]);
    expect(ops("VERA", { vera_dropout: 0.5 }, true)).toHaveLength(1);
    expect(ops("LORA", { lora_dropout: 0.25, use_dora: true }, true)).toHaveLength(1);
  });

  test("BOFT leaves out whole blocks of one factor, others at another step", () => {
    const fields = { boft_block_size: 2, boft_n_butterfly_factor: 2, boft_dropout: 0.5 };
    const t = toy(method("BOFT"), fields, { in: 16, train: true });
    const at = t.graph.nodes.findIndex((node) => node.op === "select");
    const masks = [1, 2, 3, 4, 5, 6].map((step) => {
      const mask = t.graph.nodes[at]!.inputs[0]!;
      const cast: Graph = { ...t.graph, nodes: t.graph.nodes.slice(0, mask + 1), outputs: [] };
      const builder = new Builder("mask");
      const ids: number[] = [];
      for (const node of cast.nodes) {
        if (node.type.kind === "operator") ids.push(-1);
        else
          ids.push(
            builder.add(
              node.op,
              node.inputs.map((i) => ids[i]!),
              node.attributes,
            ),
          );
      }
      const values = evaluate(builder.finish([{ name: "mask", node: ids[mask]! }]), { ...t.ports, step: [step] }).mask!;
      return [0, 1].map((f) => Array.from({ length: 8 }, (_unused, g) => values.data[(f * 8 + g) * 4]!));
    });
    for (const factors of masks) {
      const counts = factors.map((blocks) => blocks.reduce((a, b) => a + b, 0));
      expect([...counts].sort()).toEqual([0, 4]);
    }
    expect(new Set(masks.map((mask) => JSON.stringify(mask))).size).toBeGreaterThan(1);
    expect(new Set(masks.map((mask) => mask[0]!.some((x) => x === 1))).size).toBe(2);
    expect(toy(method("BOFT"), fields, { in: 16 }).graph.nodes.some((node) => node.op === "select")).toBe(false);
  });
});
