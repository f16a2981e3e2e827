/** What people write who come from papers, NumPy and PyTorch, and what they are told. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { baseModel } from "../golden/helpers.ts";

const bases: Record<string, Model> = {};
beforeAll(async () => {
  for (const name of ["llama", "qwen2"]) bases[name] = await baseModel(name);
});

/** Code, place and help of every fault; none when the text compiles. */
async function told(body: string, base = "llama", modules = ["k_proj"]): Promise<string> {
  const options = { batch: 2, length: 4, method: `method t on linear {\n${body}\n}`, methodFile: "own" };
  try {
    await compile(bases[base]!, { target_modules: modules }, options);
    return "none";
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    return error.diagnostics
      .map(({ code, where, message, help }) => `${code} ${where?.replace(/ at .*/, "")} ${message} ${help}`)
      .join("\n");
  }
}

const low = 'param A[2, in] = normal at "a"; param B[out, 2] = zeros at "b";';

describe("a fault of the bias is told with the line of b', whether the layer has a bias or not", () => {
  it.each(["llama", "qwen2"])("%s", async (base) => {
    expect(await told("W' = W;\nb' = b + b .* W;", base)).toContain("METHOD-TYPE own:3");
    expect(await told("W' = W;\n\nb' = flatten(W);", base)).toContain("METHOD-TYPE own:4");
    expect(await told("param D[out] = zeros at \"d\";\nW' = W;\nb' = b + D .* b;", base)).toBe("none");
  });
  it("and so is a weight of another size", async () => {
    expect(await told("let x = 1;\nW' = W.T;")).toContain("METHOD-TYPE own:3:1 The adapted weight");
  });
});

describe("a parameter that reaches no target at any site", () => {
  const warned = async (base: string, body: string): Promise<string[]> => {
    const options = { batch: 2, length: 4, method: `method t on linear {\n${body}\n}`, methodFile: "own" };
    const { diagnostics } = await compile(bases[base]!, { target_modules: ["q_proj", "o_proj"] }, options);
    return diagnostics.map(({ code, where, help }) => `${code} ${where?.replace(/ at .*/, "")} ${help}`);
  };
  const text = `param D[out] = zeros at "d";\n${low} W' = W + B @ A; b' = b + D .* b;`;
  it("is told, and what to declare", async () => {
    expect(await warned("llama", text)).toEqual([expect.stringMatching(/METHOD-UNREAD own:2.*when site\.has_bias/)]);
    expect(
      await warned(
        "llama",
        text
          .replace('"d"', '"d" when site.has_bias')
          .replace("b + D", "site.has_bias ? b + D")
          .replace("D .* b", "D .* b : b"),
      ),
    ).toEqual([]);
  });
  it("is none where one layer has a bias", async () => {
    expect(await warned("qwen2", text)).toEqual([]);
  });
  it("is told once where nothing in the text reads it", async () => {
    expect(await warned("llama", `param C[2] = zeros at "c";\n${low} W' = W + B @ A;`)).toEqual([
      expect.stringContaining("METHOD-UNREAD own:2"),
    ]);
  });
});

describe("sides that do not go together", () => {
  it.each([
    ["(1 - B @ A) @ W", "identity(n) is the operator 1"],
    ["W + a", "diag(a) is the operator"],
    ["W .* a", "diag(a) @ W scales rows"],
    ["W + A", "+ does not go with these"],
    ["W @ W", "@ does not go with these"],
  ])("%s", async (formula, expected) => {
    const made = await told(`${low} param a[out] = ones at "v";\nW' = ${formula};`);
    expect(made).toContain("METHOD-TYPE own:3");
    expect(made).toContain(expected);
    expect(made).not.toContain("op.");
  });
});

describe("words from elsewhere", () => {
  it.each([
    ["W' = (eye(out) - B @ A) @ W;", "identity(n)"],
    ["W' = W / norm(W);", "sqrt(sum(x .* x))"],
    ["let Q = qr(A); W' = W + B @ Q;", "cayley"],
    ['param C[2] = xavier_uniform at "c"; W\' = W;', "uniform(-a, a)"],
    ["W' = W + relu;", "relu is a function: call it"],
    ["let f = 1 < 2 ? relu : silu; W' = W;", "silu is a function: call it"],
    ["W' = W + B @ A @ x;", "a formula of W"],
    ["y' = W;", "a formula of W"],
    ["W = W + B @ A;", "write W' = W + ...;"],
    ["delta W = B @ A;", "write W' = W + ...;"],
    ["W' += B @ A;", "write W' = W + ...;"],
    ["# what it does\nW' = W;", "comments begin with //"],
    ["W' = W + B · A;", "@ is the product"],
    ["W' = W + (B @ A)^2;", "power(x, n)"],
    ['param C[out / 5, 2] = zeros at "c"; W\' = W + C;', 'require divides(5, out) else "..."'],
  ])("%s", async (statements, expected) => {
    const made = await told(`${low}\n${statements}`);
    expect(made).toContain(expected);
    expect(made).not.toContain("did you mean");
    if (!made.includes("silu")) expect(made.split("\n")).toHaveLength(1);
  });
});

describe("functions of square matrices take them alone and in blocks", () => {
  it.each(["inverse", "cayley", "neumann"])("%s", async (name) => {
    const more = name === "neumann" ? ", 3" : "";
    for (const shape of ["in, in", "1, in, in", "1, 1, in, in"]) {
      const R = `reshape(${name}(S${more}), [in, in])`;
      expect(await told(`param S[${shape}] = normal(0, 0.01) at "s"; W' = W @ ${R};`)).toBe("none");
    }
    expect(await told(`param S[2, in] = zeros at "s"; W' = W + sum(${name}(S${more})) * W;`)).toContain(
      "METHOD-ARGUMENT",
    );
  });
});
