/** Methods of the user's own: what their texts may not say, and that they stand beside the built-in ones. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { CompileOptions } from "../../src/compile/options.ts";
import { everyMethod } from "../../src/methods/index.ts";
import { makesKnown } from "../../src/methods/lib/builtin.ts";
import type { MethodRecord } from "../../src/methods/record.ts";
import { registry } from "../../src/methods/registry.ts";
import { referenceExecutor } from "../../src/runtime/executors/reference.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { type HostTensor, toFloat32 } from "../../src/runtime/files/tensor.ts";
import { isAll } from "../extent.ts";
import { baseModel } from "../golden/helpers.ts";
import { difference, eye, type Matrix, matrixOf, noise, plus, T, times } from "./helpers.ts";

type Config = Readonly<Record<string, unknown>>;
const batch = { input_ids: [3, 9, 9, 40, 1, 2, 3, 4], labels: [1, 2, 3, 4, 5, 6, 7, 8] };
const size = { batch: 2, length: 4 };

let qwen2: Model;
beforeAll(async () => {
  qwen2 = await baseModel("qwen2");
});

const compiled = (text: string, config: Config = {}, more: CompileOptions = {}) =>
  compile(qwen2, { target_modules: ["q_proj"], ...config }, { ...size, method: text, methodFile: "own", ...more });
const started = async (text: string, config: Config = {}, more: CompileOptions = {}) =>
  (await compiled(text, config, more)).start({ device: referenceExecutor(), seed: 3 });

/** The error of a fragment, with its place: where it is compiled, or where its fresh adapter is made. */
const faultOf = (text: string, config: Config = {}): Promise<string> =>
  started(text, config).then(
    () => "none",
    (error: { code?: string; where?: string }) => `${error.code} ${error.where?.replace(/ at .*/, "")}`,
  );
const warningsOf = async (text: string): Promise<string[]> =>
  (await compiled(text)).diagnostics.map(({ code, where }) => `${code} ${where}`);

const low = `param A[4, in] = normal(0, 1) at "a"; param B[out, 4] = zeros at "b";`;

describe("a fragment that cannot be", () => {
  it.each([
    [
      "first values in a cycle",
      `param A[4, in] = dense(B.T @ W0) at "a"; param B[out, 4] = dense(W0 @ A.T) at "b";\nW' = W + B @ A;`,
      "METHOD-CYCLE",
    ],
    ["a first value of itself", `\nparam A[4, in] = A + 1 at "a"; W' = W + A.T @ A;`, "METHOD-CYCLE own:2"],
    [
      "a buffer in a cycle of three",
      `${low} buffer C[4, in] = A2 at "c"; let A2 = D @ W0; \nbuffer D[4, out] = dense(C @ W0.T) at "d"; W' = W + B @ C;`,
      "METHOD-CYCLE",
    ],
    ["lets in a cycle of two", `${low} let x = y; let y = x; W' = W + x * B @ A;`, "METHOD-CYCLE own:1"],
    ["numbers given of themselves", `${low} given g[g]; W' = W + g * B @ A;`, "METHOD-"],
    ["a number that is not finite", `${low}\n\nW' = W + 1e400 * B @ A;`, "METHOD-NUMBER own:3:10"],
    [
      "a product that overflows",
      `${low} let big = 1e200;\nlet huge = big * big; W' = W + huge * B @ A;`,
      "METHOD-NUMBER own:2:16",
    ],
    ["a number beyond f32", `${low}\nW' = W + 1e39 * B @ A;`, "METHOD-TYPE own:2:15"],
    ["its reciprocal", `${low}\nW' = W + B / 1e-40 @ A;`, "METHOD-TYPE own:2:20"],
    ["a default beyond all numbers", `config s: float = 1e400; ${low}\nW' = W + s * B @ A;`, "METHOD-NUMBER own:1"],
    [
      "places outside of their array",
      `stream rng = torch_generator(1);\nconst P[2, 4] = stacked(torch_randperm(rng, 4, 4), torch_randperm(rng, 90000, 4)) at "p" within [out, in]; param w[4] = ones at "w"; W' = W + sparse(P, w);`,
      "METHOD-ARGUMENT own:2",
    ],
    ["a default of another type", `${low} config s: int = 1.5;\nW' = W + s * B @ A;`, "METHOD-DECLARATION own:1"],
    [
      "a pattern that is no field",
      `config r: int = 2 (pattern: ranks); ${low} W' = W + r * B @ A;`,
      "METHOD-NAME own:1",
    ],
    [
      "a pattern without names",
      `config r: int = 2 (pattern: t), t: int = 1; ${low} W' = W + r * B @ A;`,
      "METHOD-DECLARATION own:1",
    ],
  ])("%s", async (_name, body, expected) => {
    expect(await faultOf(`method t on linear { ${body} }`)).toContain(expected);
  });

  it("a chain of two thousand lets", async () => {
    const lets = Array.from({ length: 2000 }, (_l, i) => `let y${i} = B @ A + ${i > 0 ? `y${i - 1}` : "W"};`);
    expect(await faultOf(`method t on linear { ${low}\n${lets.join("\n")} W' = y1999; }`)).toMatch(
      /METHOD-LIMIT own:\d+:\d+/,
    );
  });

  it("products in products, a thousand times", async () => {
    const nested = `iterate(i: 0..32, x: W, iterate(j: 0..32, y: x, diag(a) @ (y + W)))`;
    expect(await faultOf(`method t on linear { param a[out] = ones at "a"; W' = ${nested}; }`)).toContain(
      "METHOD-LIMIT",
    );
  });
});

describe("a formula that repeats itself", () => {
  const squared = Array.from({ length: 12 }, (_l, i) => `let G${i + 1} = G${i} @ G${i};`).join(" ");
  it("has the numbers of plain matrices after 12 squarings", async () => {
    const text = `method t on linear { param A[4, in] = normal(0, 0.003) at "a"; let G0 = identity(in) + A.T @ A; ${squared} W' = W @ G12; }`;
    const session = await started(text, { target_modules: ["layers.0.self_attn.q_proj"] });
    const key = "model.layers.0.self_attn.q_proj.weight";
    const matrix = ({ shape, ...tensor }: HostTensor): Matrix => matrixOf(toFloat32({ shape, ...tensor }), shape[1]!);
    const [[, a]] = [...(await session.adapterTensors())] as [[string, HostTensor]];
    const A = matrix(a);
    let G = plus(eye(A[0]!.length), times(T(A), A));
    for (let turn = 0; turn < 12; turn++) G = times(G, G);
    const wanted = times(matrix(await qwen2.weights.read(key)), G);
    expect(difference(matrix(await (await session.merge()).weights.read(key)), wanted)).toBeLessThan(1e-4);
    expect(difference(G, eye(G.length))).toBeGreaterThan(0.1);
  });
  // It takes seconds to come to the limit.
  it.runIf(isAll)("is refused where it varies with the batch and has no end", async () => {
    const many = Array.from({ length: 30 }, (_l, i) => `let G${i + 1} = G${i} @ diag(a) @ G${i};`).join(" ");
    const text = `method t on linear { param a[in] = ones at "a"; let G0 = dropout(0.1); ${many} W' = W @ G30; }`;
    expect(await faultOf(text)).toContain("COMPILE-LIMIT");
  });
});

describe("a fragment that says what it hardly means", () => {
  it("is told where a name hides a word, and which parameters nothing reads", async () => {
    const text = `method t on linear {
  let b = 2;
  let W = W0;
  param A[in] = ones at "a";
  param C[3] = ones at "c" when b == 3;
  W' = diag(A) @ W;
}`;
    expect((await warningsOf(text)).sort()).toEqual([
      "METHOD-SHADOWED own:2:7",
      "METHOD-SHADOWED own:3:7",
      "METHOD-UNREAD own:5:9",
    ]);
  });

  it("and where it has the name of a built-in method", async () => {
    expect(await warningsOf(`method lora on linear { param a[in] = ones at "a"; W' = W @ diag(a); }`)).toContain(
      "METHOD-NAME-TAKEN own",
    );
  });

  it.each(everyMethod)("$name does not", ({ warnings }) => {
    expect(warnings).toEqual([]);
  });
});

describe("a pattern of one's own", () => {
  const text = `method mine on linear {
  config rank: int = 2 (above: 0, pattern: rank_of), rank_of: int_map = {}, gain: float = 1 (pattern: gain_of), gain_of: float_map = {};
  param A[rank, in] = ones at "m_A";
  param B[out, rank] = ones at "m_B";
  W' = W + gain * B @ A;
}`;
  it("gives modules values of their own: the first name that matches, names as regular expressions", async () => {
    const config = { target_modules: ["q_proj", "v_proj"], rank_of: { "layers\\.0\\..*": 3, v_proj: 5, q_proj: 4 } };
    const { adapter } = await compiled(text, config);
    const ranks = adapter!.tensors.filter(({ key }) => key.endsWith("m_A")).map(({ shape }) => shape[0]);
    expect(ranks).toEqual([3, 3, 4, 5]);
  });
  it("of fractions too", async () => {
    const loss = async (config: Config) => (await (await started(text, config)).forward(batch)).loss;
    expect(await loss({ gain_of: { q_proj: 0.25 } })).toBeCloseTo((await loss({ gain: 0.25 }))!, 6);
    expect(await faultOf(text, { rank_of: { q_proj: 2.5 } })).toContain("CONFIG-FIELD-TYPE");
  });
});

describe("loss'", () => {
  const pen = `param A[2, in] = normal(0, 1) at "m_A"; param B[out, 2] = zeros at "m_B"; W' = W + B @ A;`;
  const losses = async (text: string, target_modules: string[]) => {
    const session = await started(text, { target_modules });
    const { loss } = await session.forward(batch);
    return [loss! - base, (await session.step(batch, { lr: 0 })).loss - base].map((x) => Math.round(x * 100) / 100);
  };
  let base: number;
  beforeAll(async () => {
    const session = await (await compile(qwen2, null, { ...size, mode: "infer" })).start({
      device: referenceExecutor(),
    });
    base = (await session.forward(batch)).loss!;
  });
  it.each([
    [
      "an embedding",
      `method m on embedding { ${pen} loss' = loss + 1000 + 0 * sum(A .* A, [0, 1]); }`,
      ["embed_tokens"],
      1000,
    ],
    [
      "an embedding that takes its tie along, once",
      `method m { on embedding tied { ${pen} loss' = loss + 1000; } }`,
      ["embed_tokens"],
      1000,
    ],
    [
      "both ends of a tie",
      `method m on embedding, linear { ${pen} loss' = loss + 1000; }`,
      ["embed_tokens", "lm_head"],
      2000,
    ],
    [
      "a norm",
      `method m on norm { param a[out] = ones at "a"; gain' = a .* gain; loss' = loss + 1000; }`,
      ["norm"],
      1000,
    ],
  ])("counts on %s", async (_name, text, targets, added) => {
    expect(await losses(text, targets)).toEqual([added, added]);
  });
});

describe("methods of one's own beside built-in ones", () => {
  const gain = `method gain on linear { param a[out] = fill(2) at "gain"; W' = diag(a) @ W; }`;
  const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"], init_lora_weights: false };
  const start = async (config: Config, options: CompileOptions) =>
    (await compile(qwen2, config, { ...size, mode: "infer", ...options })).start({
      device: referenceExecutor(),
      seed: 1,
    });

  it("load on either side, are used together, and merge", async () => {
    const own = await start({ target_modules: ["q_proj"] }, { method: gain });
    const plain = await start(lora, {});
    await own.load("lora", Object.fromEntries(await plain.files()));
    await plain.load("gain", Object.fromEntries(await own.files()));
    const alone = (await plain.forward(batch)).loss;
    await own.use("lora");
    expect((await own.forward(batch)).loss).toBeCloseTo(alone!, 6);
    await own.use(["default", "lora"]);
    await plain.use(["gain", "default"]);
    const both = (await own.forward(batch)).loss!;
    expect((await plain.forward(batch)).loss).toBeCloseTo(both, 6);
    const merged = await compile(await own.merge(), null, { ...size, mode: "infer" });
    expect((await (await merged.start({ device: referenceExecutor() })).forward(batch)).loss).toBeCloseTo(both, 4);
  });

  it("come from a registry, and the config says which one it is for", async () => {
    const methods = registry(gain, {
      text: `method shift on linear { param a[out] = ones at "s"; W' = W + diag(a) @ W; }`,
      file: "shift",
    });
    const program = await compile(qwen2, { peft_type: "SHIFT", target_modules: ["q_proj"] }, { ...size, methods });
    expect(program.adapter!.method).toBe("shift");
    expect((await compile(qwen2, lora, { ...size, methods })).adapter!.method).toBe("lora");
    const unknown = compile(qwen2, { peft_type: "OTHER" }, { ...size, methods });
    await expect(unknown).rejects.toMatchObject({
      code: "CONFIG-TYPE-UNKNOWN",
      expected: expect.stringContaining("SHIFT"),
    });
    expect(() => registry(gain, gain)).toThrow("Two methods are called gain");
  });
});

describe("lines", () => {
  it.each(everyMethod)("of $name are those of its file", ({ ast, file, source }) => {
    const lines = readFileSync(`src/methods/peft/${file}`, "utf8").split("\n");
    const places = [...ast.items, ...ast.blocks.flatMap(({ items }) => items)].map((item) => ({ item, ...item.at }));
    for (const { item, line, column } of places) {
      const name = "name" in item ? item.name : "";
      expect(lines[line - 1]!.slice(line === ast.firstLine ? 0 : column - 1)).toContain(name);
    }
    expect(lines[ast.firstLine - 1]).toBe(`  text: \`${source.split("\n")[0]}`);
  });
  it("of a formula are told in a printed graph and in errors", async () => {
    const program = await compile(
      qwen2,
      { peft_type: "LORA", r: 2, target_modules: ["q_proj"] },
      { ...size, mode: "infer" },
    );
    const formula =
      readFileSync("src/methods/peft/lora.ts", "utf8")
        .split("\n")
        .findIndex((line) => /^\s*W' =/.test(line)) + 1;
    expect(program.print("operator")).toContain(`lora.ts:${formula}`);
    const refused = compile(qwen2, { peft_type: "LORA", r: 2, target_modules: ["q_proj"], lora_dropout: 1 }, size);
    const check =
      readFileSync("src/methods/peft/lora.ts", "utf8")
        .split("\n")
        .findIndex((line) => /require lora_dropout < 1/.test(line)) + 1;
    await expect(refused).rejects.toMatchObject({ where: expect.stringContaining(`lora.ts:${check}:`) });
  });
});

describe("texts that were changed at random", () => {
  const text = `method own on linear {
  config r: int = 4 (above: 0, pattern: ranks), ranks: int_map = {};
  param A[r, in] = normal(0, 0.1) at "a";
  param B[out, r] = zeros at "b";
  param d[in] = ones at "d";
  let s = 2 / r, G = identity(in) + A.T @ A;
  let H = prod(i: 0..3, G @ diag(d));
  W' = (W + s * B @ A) @ iterate(i: 0..2, x: H, x @ x);
  loss' = loss + 0.1 * sum(A .* A, [0, 1]);
}`;
  const tokens = text.match(/[A-Za-z_]\w*'?|\d+(?:\.\d+)?|"[^"]*"|\.\.|\.\*|[^\s\w]/g)!;
  const words = [
    "W",
    "W0",
    "b",
    "in",
    "A",
    "B",
    "d",
    "G",
    "H",
    "x",
    "s",
    "hidden",
    "loss",
    "0",
    "64",
    "1e39",
    "1e400",
    "1e-50",
  ];
  const signs = ["+", "-", "*", ".*", "@", "/", ",", "(", ")"];

  it("end in a program or in an error with a code and a place", async () => {
    const random = noise(2000, 5);
    let next = 0;
    const below = (n: number): number => Math.floor(((random[next++]! + 1) / 2) * n);
    const codes = new Map<string, number>();
    for (let run = 0; run < 150; run++) {
      const changed = [...tokens];
      for (let change = 0; change <= run % 2; change++) {
        const from = below(changed.length);
        const at = changed.findIndex(
          (token, i) => i >= from && (/^[A-Za-z]\w*$|^\d/.test(token) || signs.includes(token)),
        );
        if (at >= 0)
          changed[at] = signs.includes(changed[at]!) ? signs[below(signs.length)]! : words[below(words.length)]!;
      }
      const code = await compiled(changed.join(" "), {}, { mode: run % 3 === 0 ? "train" : "merge" }).then(
        (program) => {
          program.init!();
          return "none";
        },
        (error: { code?: string; message: string }) => error.code ?? error.message,
      );
      expect(code, changed.join(" ")).toMatch(/^(none|(METHOD|CONFIG|COMPILE)-[A-Z-]+)$/);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codes.get("none")).toBeGreaterThan(10);
    expect(codes.size).toBeGreaterThan(5);
  });
});

describe("a record of one's own", () => {
  const text = `method mine on linear {
  W' = W + doubled(s) * B @ A;
  param A[r, in] = normal(0, 1) at "m_A";
  param B[out, r] = ones at "m_B";
  let s = 0.5;
  config r: int = 2 (above: 0, pattern: ranks), ranks: int_map = {};
}`;
  const doubled = makesKnown("doubled", { x: "number" }, "Twice a number.", ({ x }) => 2 * x);
  const mine: MethodRecord = {
    text,
    file: "mine.ts",
    line: 7,
    profile: { className: "MineConfig", shared: ["target_modules"], noTargets: "Name targets of {model_type}." },
    targets: { qwen2: ["v_proj"] },
    files: { old: { part: ".m_old.", message: "This file is too old.", expected: "m_A" } },
    builtins: [doubled],
  };
  const config = { peft_type: "MINE", r: 2 };
  const program = (record: MethodRecord, more: Config = {}) =>
    compile(qwen2, { ...config, ...more }, { ...size, mode: "infer", methods: registry(record) });

  it("says what is adapted, what configs have, and what its text calls", async () => {
    const { adapter, diagnostics } = await program(mine, { r: 3, bias: "all" });
    expect(adapter!.sites).toEqual(["model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.v_proj"]);
    expect(adapter!.savedConfig).toMatchObject({ peft_type: "MINE", target_modules: ["v_proj"], r: 3 });
    expect(adapter!.savedConfig).not.toHaveProperty("modules_to_save");
    expect(diagnostics.find(({ code }) => code === "CONFIG-FIELD-UNKNOWN")?.message).toContain("class MineConfig");
    const { targets: _targets, ...bare } = mine;
    const elsewhere = program({ ...bare, targets: {} });
    await expect(elsewhere).rejects.toMatchObject({ message: "Name targets of qwen2." });
  });

  it("computes with builtins of its own, and gets errors in the lines of its file", async () => {
    const plain = (await started(text.replace("doubled(s)", "1"), { target_modules: ["v_proj"] })).forward(batch);
    const own = (await program(mine)).start({ device: referenceExecutor(), seed: 3 });
    expect((await (await own).forward(batch)).loss).toBe((await plain).loss);
    const without = { ...mine, builtins: [] };
    expect(() => registry(without)).toThrow("No function is called doubled");
    expect(() => registry({ ...mine, text: text.replace("doubled(s)", "doubled(s, s)") })).not.toThrow();
    const wrong = program({ ...mine, text: text.replace("doubled(s)", "doubled(s, s)") });
    await expect(wrong).rejects.toMatchObject({
      code: "METHOD-ARGUMENT",
      where: expect.stringContaining("mine.ts:8:"),
    });
  });

  it("refuses files that it says are too old", async () => {
    const saved = await (await program(mine)).start({ device: referenceExecutor(), seed: 3 });
    const files = Object.fromEntries(await saved.files());
    expect(Object.keys(files)).toContain("adapter_config.json");
    const renamed = { ...mine, files: { old: { ...mine.files!.old!, part: ".m_A." } } };
    await expect((await program(renamed)).start({ device: referenceExecutor(), adapter: files })).rejects.toMatchObject(
      {
        code: "FILE-ADAPTER-OLD",
        message: "This file is too old.",
      },
    );
  });

  it("may call what built-in methods have for themselves, each name of which is one function", async () => {
    const names = everyMethod.flatMap(({ record }) => (record.builtins ?? []).map(({ name }) => name));
    expect(names.length).toBeGreaterThan(20);
    expect(new Set(names).size).toBe(names.length);
    const turned = `method turned on linear { param Q[out / 4, 6] = zeros at "q"; W' = blockdiag(cayley(skew(Q, 4))) @ W; }`;
    expect((await compiled(turned)).adapter!.tensors).not.toEqual([]);
  });
});
