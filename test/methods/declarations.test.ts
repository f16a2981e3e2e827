/** Ways to declare a tensor: shared and trained, saved constants, copies in files, variants of one key, forms in files, terms of the loss. */
import { describe, expect, test } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { parseMethod } from "../../src/methods/index.ts";
import { toy } from "./helpers.ts";

const method = (items: string) => parseMethod(`method made on linear {\n${items}\n}`, "made.ts");
const others = [{ in: 6, out: 4 }];

const faultsOf = (items: string): string[] => {
  try {
    method(items);
  } catch (error) {
    const { message, also } = error as { message: string; also?: readonly { message: string }[] };
    return [message, ...(also ?? []).map((fault) => fault.message)];
  }
  return [];
};

describe("shared tensors", () => {
  test("that train are parameters of the whole model, drawn once", () => {
    const t = toy(
      method(`shared param bank[3] = normal(0, 1) at "base_model.bank"; W' = bank[0] * W;`),
      {},
      { others },
    );
    expect(t.elaboration.tensors).toEqual([
      expect.objectContaining({ key: "base_model.bank", role: "param", shape: [3] }),
    ]);
    const graph = t.elaboration.initialGraph((builder, site) => ({
      weight: builder.dense(builder.port("W", "weight", "f32", [site.out, site.in])),
    }));
    expect(graph.outputs.map(({ name }) => name)).toEqual(["base_model.bank"]);
  });

  test("have copies under the paths of all sites", () => {
    const t = toy(
      method(`shared A[in_all] = ones at "base_model.A" also "A"; let in_all = 2; W' = A[0] * W;`),
      {},
      { others },
    );
    expect(t.elaboration.tensors[0]!.aliases).toEqual([
      "base_model.model.model.layers.0.self_attn.q_proj.A",
      "base_model.model.other.0.A",
    ]);
  });
});

describe("constants", () => {
  const places = `stream rng = torch_generator(1); const places[3] = sorted(torch_randperm(rng, in, 3))`;

  test("with a key are saved as integers, site by site", () => {
    const t = toy(method(`${places} at "places"; W' = W;`));
    expect(t.elaboration.tensors).toEqual([
      expect.objectContaining({
        key: expect.stringMatching(/q_proj\.places$/),
        role: "buffer",
        dtype: "i32",
        saved: true,
      }),
    ]);
    const data = [...t.elaboration.notes.data.get(t.elaboration.tensors[0]!.key)!];
    expect(data).toEqual([...data].sort((a, b) => a - b));
    expect(new Set(data).size).toBe(3);
  });

  test("without one are not", () => {
    expect(toy(method(`${places}; W' = W;`)).elaboration.tensors).toEqual([]);
  });
});

describe("keys", () => {
  test("are shared by variants of which one exists", () => {
    const made = method(
      `config wide: bool = false "two columns"; param a[out] = ones at "a" when not wide; param c[out, 2] = ones at "a" when wide; W' = diag(wide ? c[:, 0] : a) @ W;`,
    );
    expect(toy(made, { wide: true }).elaboration.tensors.map(({ shape }) => shape)).toEqual([[8, 2]]);
    expect(toy(made, { wide: false }).elaboration.tensors.map(({ shape }) => shape)).toEqual([[8]]);
  });

  test("are not used twice otherwise", () => {
    expect(faultsOf(`param a[out] = ones at "a"; param c[out] = ones at "a"; W' = W;`)).toEqual([
      "The key a is used twice.",
    ]);
  });
});

describe("forms in files", () => {
  test("are told with the tensor, where their condition holds", () => {
    const made = method(
      `config small: bool = false "small files"; param x[out, 9] = zeros at "x" coded top_k(4) if small; W' = diag(x[:, 0]) @ W;`,
    );
    expect(toy(made, { small: true }).elaboration.tensors[0]!.coding).toEqual({ name: "top_k", count: 4 });
    expect(toy(made, { small: false }).elaboration.tensors[0]!.coding).toBeUndefined();
  });

  test("that nobody knows are refused", () => {
    expect(faultsOf(`param x[out] = zeros at "x" coded gzip(4); W' = W;`)).toEqual(["There is no form in files gzip."]);
    expect(() => toy(method(`param x[out] = zeros at "x" coded top_k("a"); W' = W;`))).toThrow(
      "how many entries are kept",
    );
  });

  test("copies and training belong to what is shared", () => {
    expect(faultsOf(`param x[out] = zeros at "x" also "y"; W' = W;`)).toEqual([
      "Only what is shared can also be saved under the paths of its sites; x is not.",
    ]);
    expect(faultsOf(`buffer param x[out] = zeros at "x"; W' = W;`)).toEqual([
      "Only what is shared can also be declared as param; x is not.",
    ]);
  });
});

describe("loss'", () => {
  const operands = (builder: Builder) => {
    const scalar = builder.port("seed", "input", "u32", []);
    const weight = builder.dense(builder.port("W", "weight", "f32", [8, 12]));
    return {
      weight,
      base: weight,
      scalars: { seed: scalar, step: scalar, sampleOffset: scalar, pass: scalar, training: scalar },
    };
  };

  test("adds a number at every site", () => {
    const t = toy(method(`param a[out] = ones at "a"; W' = diag(a) @ W; loss' = loss + 0.5 * sum(a .* a, [0]);`));
    const builder = new Builder("site");
    const { loss } = t.elaboration.site(0, builder, operands(builder));
    expect(builder.shape(loss!)).toEqual([]);
  });

  test("must be a number", () => {
    expect(() => toy(method(`param a[out] = ones at "a"; W' = diag(a) @ W; loss' = loss + a;`))).toThrow(
      "What is added to the loss is no number.",
    );
  });
});
