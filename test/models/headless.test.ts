/** Models without a head: their modules, files with and without the prefix of a model that has one, and what stands for a row; and the loss of spans. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { buildModel, countLabels, describeModel, type ModelConfig } from "../../src/models/index.ts";
import { spanLoss } from "../../src/models/loss.ts";
import { part } from "../extent.ts";
import { readJson, readTensors, relativeError, runModel } from "./helpers.ts";
import { options } from "./small.ts";

const bases = readdirSync(new URL("../fixtures/golden/bases", import.meta.url));
const configOf = (name: string): ModelConfig => readJson(`bases/${name}/config.json`);
/** The name of the class without a head. */
const alone = (config: ModelConfig): ModelConfig => {
  const [name] = config.architectures as readonly [string];
  return { ...config, architectures: [name.replace(/(For[A-Z]\w*|LMHeadModel|Model)$/, "Model")] };
};
const names = bases.filter((name) => !/^u?m?t5|-headless$|^dinov2-gated$/.test(name));

describe("the encoder of T5 alone", () => {
  it("reads files of every class of the family", () => {
    const config = configOf("t5-encoder");
    const inputs = readTensors("base-outputs/t5-encoder/inputs.safetensors");
    const expected = readTensors("base-outputs/t5-encoder/expected.safetensors");
    const data = readTensors("bases/t5-encoder/model.safetensors");
    for (const prefix of ["", "transformer."])
      for (const table of ["shared.weight", "encoder.embed_tokens.weight"]) {
        const named = (key: string) => `${prefix}${key === "shared.weight" ? table : key}`;
        const weights = Object.fromEntries(Object.entries(data).map(([key, x]) => [named(key), x]));
        const stored = (key: string) => weights[key] !== undefined;
        const { graph } = buildModel(config, options({ length: 8, labels: false, stored, pooling: "mean" }));
        const { hidden, pooled } = runModel(graph, { ...inputs, ...weights });
        expect(relativeError(hidden!.data, expected.last_hidden_state!)).toBeLessThan(2e-6);
        expect(pooled!.data).toHaveLength(2 * 16);
      }
  });
});

describe.each(part(names, 2))("%s without its head", (name) => {
  const config = configOf(name);
  const data = readTensors(`bases/${name}/model.safetensors`);
  const stored = (key: string) => data[key] !== undefined;

  it("has the modules that stand inside of the model with a head, and reads its file", () => {
    const whole = describeModel(config, undefined, stored).modules;
    const own = describeModel(alone(config), undefined, stored).modules.filter(
      ({ path }) => !path.startsWith("pooler"),
    );
    const inside = whole.filter((module) => own.some(({ path }) => module.path.endsWith(`.${path}`)));
    const first = inside[0]!.path.split(".")[0]!;
    const within = whole.filter(({ path }) => path.startsWith(`${first}.`) && !path.includes(".pooler"));
    expect(own.map(({ path }) => `${first}.${path}`)).toEqual(within.map(({ path }) => path));
    expect(own.map(({ weight, bias }) => [weight, bias])).toEqual(within.map(({ weight, bias }) => [weight, bias]));
  });

  it("gives the same hidden states from a file with the prefix and from one without", () => {
    const inputs = readTensors(`base-outputs/${name}/inputs.safetensors`);
    const { inputs: read } = describeModel(config);
    for (const { name: input, fill } of read)
      if (fill !== undefined) inputs[input] ??= new Int32Array(inputs.input_ids!.length).fill(fill);
    const first = describeModel(config)
      .modules.find(({ path }) => path.includes("."))!
      .path.split(".")[0]!;
    const bare = Object.fromEntries(Object.entries(data).map(([key, x]) => [key.replace(`${first}.`, ""), x]));
    const hidden = (weights: typeof data) => {
      const has = (key: string) => weights[key] !== undefined;
      const length = (inputs.input_ids?.length ?? 2) / 2;
      const { graph, modules } = buildModel(alone(config), options({ length, labels: false, stored: has }));
      const joined = modules
        .flatMap(({ parameters = {} }) => Object.values(parameters))
        .flatMap(({ key, parts }) =>
          parts === undefined ? [] : [[key, parts.flatMap((part) => Array.from(weights[part]!))]],
        );
      return runModel(graph, { ...inputs, ...weights, ...Object.fromEntries(joined) }).hidden!.data;
    };
    expect(hidden(bare)).toEqual(hidden(data));
  });
});

describe("what stands for a row", () => {
  const config = configOf("bert-headless");
  const data = {
    ...readTensors("bases/bert-headless/model.safetensors"),
    ...readTensors("base-outputs/bert-headless/inputs.safetensors"),
    attention_mask: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
  };
  const run = (pooling: "mean" | "cls", mask: boolean) =>
    runModel(buildModel(config, options({ length: 8, labels: false, mask, pooling })).graph, data);

  it("is the mean of the tokens that the mask shows", () => {
    const { hidden, pooled } = run("mean", true);
    const mean = [8, 3].flatMap((count, row) =>
      Array.from({ length: 32 }, (_unused, i) => {
        const states = Array.from({ length: count }, (_token, t) => hidden!.data[(row * 8 + t) * 32 + i]!);
        return states.reduce((sum, x) => sum + x, 0) / count;
      }),
    );
    expect(relativeError(pooled!.data, mean)).toBeLessThan(1e-6);
  });

  it("is the first token where that is asked for", () => {
    const { hidden, pooled } = run("cls", false);
    expect([...pooled!.data]).toEqual([...hidden!.data.slice(0, 32), ...hidden!.data.slice(256, 288)]);
  });
});

describe("the loss of spans", () => {
  const [batch, length] = [3, 4];
  const logits = Array.from({ length: batch * length * 2 }, (_unused, i) => Math.sin(3 * i));
  /** The mean of -log p over the rows that count, of first or of last places. */
  const mean = (places: readonly number[], end: number): number => {
    const losses = places.flatMap((place, row) => {
      if (place < 0) return [];
      const scores = Array.from({ length }, (_unused, t) => logits[(row * length + t) * 2 + end]!);
      return [Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0)) - scores[place]!];
    });
    return losses.reduce((sum, x) => sum + x, 0) / losses.length;
  };

  it.each([
    [
      [0, 1, 3],
      [2, 3, 3],
    ],
    [
      [0, -100, 3],
      [2, 3, 3],
    ],
    [
      [-100, 1, -100],
      [0, -100, 2],
    ],
  ])("is the mean of both ends, each over the rows that count: %o, %o", (starts, ends) => {
    const builder = new Builder("spans");
    const ports = [
      builder.port("logits", "input", "f32", [batch, length, 2]),
      builder.port("labels", "input", "i32", [batch, 2]),
      builder.port("label_scale", "input", "f32", []),
    ] as const;
    const graph = builder.finish([{ name: "loss", node: spanLoss(builder, ...ports) }]);
    const labels = starts.flatMap((start, row) => [start, ends[row]!]);
    const label_scale = [1 / countLabels(labels, length, { kind: "span" })];
    const { loss } = evaluate(graph, { logits, labels, label_scale });
    expect(loss!.data[0]).toBeCloseTo((mean(starts, 0) + mean(ends, 1)) / 2, 6);
  });
});
