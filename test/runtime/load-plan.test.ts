import { describe, expect, test } from "vitest";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { siteKey, withoutPrefix } from "../../src/methods/config/index.ts";
import { methods } from "../../src/methods/index.ts";
import { type LoadRequest, planLoading, type TensorSpec } from "../../src/runtime/values/load-plan.ts";
import { goldenTensors } from "../config/golden.ts";

const tensors = (shapes: Record<string, number[]>): TensorSpec[] =>
  Object.entries(shapes).map(([key, shape]) => ({ key, shape }));
const specsOf = (path: string): TensorSpec[] => [...goldenTensors(path)].map(([key, { shape }]) => ({ key, shape }));
const q = (name: string): string => siteKey("model.layers.0.self_attn.q_proj", name);
const A = q("lora_A.weight");
const B = q("lora_B.weight");
const expected = tensors({ [A]: [4, 32], [B]: [32, 4] });

const rulesOf = (peftType: string) => methods.get(peftType)!.record.files;

function plan(request: Partial<LoadRequest>, sink = new DiagnosticSink()) {
  return planLoading({ expected, file: expected, fields: {}, ...request }, sink);
}

function errorOf(request: Partial<LoadRequest>, sink?: DiagnosticSink): WebpeftError {
  try {
    plan(request, sink);
  } catch (error) {
    expect(error).toBeInstanceOf(WebpeftError);
    return error as WebpeftError;
  }
  throw new Error("nothing was thrown");
}

describe("keys", () => {
  test("are built as PEFT's", () => {
    expect(A).toBe("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
    expect(withoutPrefix(A)).toBe("model.layers.0.self_attn.q_proj.lora_A.weight");
  });
});

describe("loading", () => {
  test("a key that is missing is told with the one that is most like it", () => {
    const file = expected.map(({ key, shape }) => ({ key: key.replace("model.model.", "model."), shape }));
    expect(errorOf({ file })).toMatchObject({ code: "FILE-ADAPTER-MISSING", got: `${file[0]!.key}, and 1 others` });
  });

  test("what is in the place of a missing key tells what to do", () => {
    const renamed = (from: string, to: string) =>
      expected.map(({ key, shape }) => ({ key: key.replace(from, to), shape }));
    expect(errorOf({ file: expected.slice(1) })).toMatchObject({
      got: "the 1 other tensors of the adapter",
      help: expect.stringMatching(/not whole/),
    });
    for (const part of ["default", "_orig_mod"])
      for (const file of [renamed("lora_A.", `lora_A.${part}.`), renamed("model.layers", `${part}.model.layers`)])
        expect(errorOf({ file })).toMatchObject({
          got: expect.stringContaining(part),
          help: expect.stringContaining(`"${part}"`),
        });
    expect(errorOf({ file: renamed("q_proj", "k_proj") }).help).toMatch(/another base model or config/);
    expect(errorOf({ file: tensors({ a: [1], b: [1] }) })).toMatchObject({
      got: "a, and 1 others",
      help: expect.stringMatching(/another config/),
    });
    expect(errorOf({ file: [] }).got).toBe("a file without tensors");
  });

  test("keys with and without prefix", () => {
    const bare = expected.map(({ key, shape }) => ({ key: withoutPrefix(key), shape }));
    const sink = new DiagnosticSink();
    expect([...plan({ file: bare }, sink).mapping]).toEqual([
      [A, withoutPrefix(A)],
      [B, withoutPrefix(B)],
    ]);
    expect(sink.diagnostics).toMatchObject([{ code: "FILE-ADAPTER-PREFIX", severity: "warning", expected: A }]);
    expect([...plan({}, new DiagnosticSink(true)).mapping]).toEqual([
      [A, A],
      [B, B],
    ]);
    const shared = tensors({ "base_model.vera_A": [4, 32] });
    const both = tensors({ vera_A: [4, 32], "base_model.model.vera_A": [4, 32] });
    expect(errorOf({ expected: shared, file: both }).code).toBe("FILE-ADAPTER-AMBIGUOUS");
    expect([...plan({ expected: shared, file: both.slice(1) }).mapping.values()]).toEqual(["base_model.model.vera_A"]);
  });

  test("missing keys are named", () => {
    const error = errorOf({ file: expected.slice(0, 1) });
    expect(error).toMatchObject({ code: "FILE-ADAPTER-MISSING", where: B });
    expect(error.message).toBe(`Found missing adapter keys while loading the checkpoint: ${B}.`);
    const many = tensors(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [siteKey(`a.${i}`, "x"), [1]])));
    expect(errorOf({ expected: many, file: [] }).message).toMatch(/and 20 more\.$/);
  });

  test("a wrong shape names both, and every problem is reported at once", () => {
    const error = errorOf({ file: tensors({ [A]: [3, 3] }) });
    expect(error.code).toBe("FILE-ADAPTER-MISSING");
    expect(error.diagnostics[1]).toMatchObject({
      code: "FILE-ADAPTER-SHAPE",
      message:
        `size mismatch for ${A}: copying a param with shape torch.Size([3, 3]) from checkpoint, ` +
        "the shape in current model is torch.Size([4, 32]).",
      expected: "[4, 32]",
      got: "[3, 3]",
    });
    expect(errorOf({ file: tensors({ [A]: [4, 32], [B]: [32] }) }).code).toBe("FILE-ADAPTER-SHAPE");
  });

  test("unexpected keys are warned of, and refused under strict", () => {
    const file = [...expected, ...tensors({ "base_model.model.foo": [1] })];
    const sink = new DiagnosticSink();
    expect(plan({ file }, sink).unexpected).toEqual(["base_model.model.foo"]);
    expect(sink.diagnostics).toMatchObject([{ code: "FILE-ADAPTER-UNEXPECTED", severity: "warning" }]);
    expect(errorOf({ file }, new DiagnosticSink(true)).code).toBe("FILE-ADAPTER-UNEXPECTED");
    const head = [...expected, ...tensors({ "base_model.model.model.norm.weight": [32] })];
    expect(plan({ file: head }).unexpected).toHaveLength(1);
  });

  test("OFT of before PEFT 0.14 is refused", () => {
    const file = tensors({ [q("oft_r.default")]: [4, 8, 8] });
    expect(errorOf({ rules: rulesOf("OFT"), file })).toMatchObject({
      code: "FILE-ADAPTER-OLD",
      where: q("oft_r.default"),
    });
  });

  test("old BOFT permutations are carried", () => {
    const file = [...expected, ...tensors({ [q("boft_P")]: [1, 32, 32] })];
    expect(plan({ rules: rulesOf("BOFT"), file }, new DiagnosticSink(true)).carried).toEqual([q("boft_P")]);
  });

  test("what can be rebuilt may be absent", () => {
    const shira = [...expected, ...tensors({ [q("shira_indices")]: [2, 8] })];
    const sink = new DiagnosticSink(true);
    expect(plan({ rules: rulesOf("SHIRA"), expected: shira }, sink).absent).toEqual([q("shira_indices")]);
    expect(sink.diagnostics).toMatchObject([{ severity: "note" }]);
    const randlora = [...expected, ...tensors({ "base_model.randlora_A": [2, 1, 8] })];
    expect(
      errorOf(
        { rules: rulesOf("RANDLORA"), expected: randlora, fields: { save_projection: true } },
        new DiagnosticSink(true),
      ).code,
    ).toBe("FILE-ADAPTER-REBUILT");
  });
});

describe("VeRA's projections", () => {
  const saved = specsOf("cases/llama-vera/adapter_model.safetensors");
  const bare = saved.filter(({ key }) => !/vera_[AB]$/.test(key));
  const request = { rules: rulesOf("VERA"), expected: saved };
  test("must be there when the config says so", () => {
    const error = errorOf({ ...request, file: bare, fields: { save_projection: true } });
    expect(error.message).toBe(
      "Specified to load vera_A and vera_B from state dictionary however they were not present!",
    );
  });
  test("may be absent when it does not", () => {
    const sink = new DiagnosticSink(true);
    expect(plan({ ...request, file: bare, fields: { save_projection: false } }, sink).absent).toHaveLength(2);
  });
  test("are ignored with a warning when the config says they are not there", () => {
    const sink = new DiagnosticSink();
    plan({ rules: rulesOf("VERA"), expected: bare, file: saved, fields: { save_projection: false } }, sink);
    expect(sink.diagnostics.map((d) => d.code)).toEqual(["FILE-ADAPTER-PROJECTIONS"]);
  });
});

test("a tensor of the base that PEFT writes beside LoRA on it is the base's, and must have its shape", () => {
  const key = "base_model.model.model.embed_tokens.base_layer.weight";
  const file = specsOf("cases/llama-lora-embedding/adapter_model.safetensors");
  const adapter = file.filter((tensor) => tensor.key.includes("lora_"));
  const shape = file.find((tensor) => tensor.key === key)!.shape;
  const made = plan({ expected: adapter, file, base: [{ key, shape }] }, new DiagnosticSink(true));
  expect([...made.base]).toEqual([[key, key]]);
  expect(made.carried).toEqual([]);
  expect(made.mapping.size).toBe(adapter.length);
  const small = errorOf({ expected: adapter, file, base: [{ key, shape: [shape[0]! - 4, shape[1]!] }] });
  expect(small).toMatchObject({
    code: "FILE-ADAPTER-SHAPE",
    where: key,
    message: expect.stringContaining("size mismatch"),
  });
});
