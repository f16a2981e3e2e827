/** The llama graph as a graph: verified at both levels, printed and parsed, differentiated. */
import { describe, expect, it } from "vitest";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { hashGraph } from "../../src/ir/hash.ts";
import { opRecord } from "../../src/ir/registry.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { verify } from "../../src/ir/verify.ts";
import { buildModel } from "../../src/models/index.ts";
import { associate } from "../../src/passes/associate.ts";
import { attach } from "../../src/passes/attach.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { lowerModel, randomNumbers, randomWeights } from "./helpers.ts";

const config = {
  model_type: "qwen2",
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 6,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  tie_word_embeddings: true,
};
const { graph, modules } = buildModel(config, {
  batch: 2,
  length: 5,
  labels: true,
  mask: true,
  weightTypes: () => "f32",
});

/** All weights trained: every weight port becomes a param; modules that share one share the param. */
function trainAll(base: Graph): Graph {
  const trained = modules.flatMap(({ path, ...keys }) =>
    (["weight", "bias"] as const).flatMap((name): [string, string][] =>
      keys[name] === undefined ? [] : [[`${path}.${name}`, `trained.${keys[name]}`]],
    ),
  );
  return differentiate(associate(attach(base, { sites: new Map(), trained: new Map(trained) }), { train: true }).graph);
}

const inputs = {
  input_ids: [1, 2, 3, 4, 5, 10, 9, 1, 1, 0],
  attention_mask: [0, 1, 1, 1, 1, 1, 1, 1, 1, 0],
  labels: [-100, 2, 3, -100, 5, 10, 9, 1, 1, -100],
  label_scale: [0.2],
};

describe("the graph", () => {
  const levels = [
    ["operator", graph],
    ["tensor", lowerModel(graph)],
    ["tensor", trainAll(graph)],
  ] as const;

  it.each(levels)("is sound at %s level, and so is its text", (level, at) => {
    verify(at, level);
    const parsed = parseGraph(printGraph(at));
    expect(hashGraph(parsed)).toBe(hashGraph(at));
    expect(parsed.nodes).toHaveLength(at.nodes.length);
  });

  it("is the same graph every time", () => {
    const again = buildModel(config, { batch: 2, length: 5, labels: true, mask: true, weightTypes: () => "f32" });
    expect(again.graph).toEqual(graph);
  });

  it("never repeats keys or values over the heads that share them", () => {
    const scores = lowerModel(graph).nodes.filter(
      (node) => node.op === "einsum" && node.attributes.spec === "bsngd,btnd->bngst",
    );
    expect(scores).toHaveLength(2);
    for (const node of scores) {
      const keys = graphNode(node.inputs[1]!);
      expect(keys.type).toEqual({ kind: "tensor", dtype: "f32", shape: [2, 5, 2, 6] });
    }
  });

  function graphNode(id: number) {
    return lowerModel(graph).nodes[id]!;
  }

  it("computes rope tables from nothing, once for all layers", () => {
    const lowered = lowerModel(graph);
    const fromNothing = lowered.nodes.reduce<boolean[]>((known, node) => {
      known.push(node.op !== "port" && opRecord(node.op).opClass !== "random" && node.inputs.every((i) => known[i]!));
      return known;
    }, []);
    const tables = lowered.nodes.filter((node) => node.op === "cos" || node.op === "sin");
    expect(tables).toHaveLength(2);
    lowered.nodes.forEach((node, id) => {
      if (node.scope === "model.rotary_emb") expect(fromNothing[id]).toBe(true);
    });
  });
});

describe("the gradient", () => {
  const training = trainAll(graph);
  const weights = randomWeights(graph, 21);
  // A query that sees no key has the gradient of an added mask, as in transformers, which is not the slope of its mean: none here.
  const seen = { ...inputs, attention_mask: [1, 1, 1, 1, 1, 1, 1, 0, 1, 1] };
  const data = { ...seen, ...Object.fromEntries(Object.entries(weights).map(([name, w]) => [`trained.${name}`, w])) };
  const results = evaluate(training, data);
  const forward = { ...training, outputs: training.outputs.filter((output) => output.name === "loss") };

  it.each(Object.keys(weights))("of %s equals the slope of the loss", (name) => {
    const key = `trained.${name}`;
    const direction = randomNumbers(weights[name]!.length, 77);
    const loss = (by: number): number =>
      evaluate(forward, { ...data, [key]: weights[name]!.map((w, i) => w + by * direction[i]!) }).loss!.data[0]!;
    const slope = (8 * (loss(1e-4) - loss(-1e-4)) - (loss(2e-4) - loss(-2e-4))) / 12e-4;
    const gradient = results[`grad.${key}`]!.data.reduce((sum, g, i) => sum + g * direction[i]!, 0);
    // The bias of the keys shifts all scores of a query alike but for the rotation, so its slope may be small: compare on the scale of 1.
    expect(Math.abs(gradient - slope)).toBeLessThan(1e-8 * Math.max(1, Math.abs(slope)));
    expect(Math.abs(slope)).toBeGreaterThan(1e-6);
  });
});
