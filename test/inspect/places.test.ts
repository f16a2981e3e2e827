/** Where kernels come from: those that read a parameter know the lines of the formula that they compute, and what is part of a gradient. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Program } from "../../src/compile/program.ts";
import { ruleRecords } from "../../src/inspect/report-passes.ts";
import type { Graph, Node } from "../../src/ir/graph.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { adapters, compileAdapter, llama } from "../budgets/llama.ts";
import { part } from "../extent.ts";

let model: Model;
beforeAll(async () => {
  model = await llama();
});

/** Of the adapter's own: a value that parameters alone decide is computed in a stage of its own, which is looked at too. */
const isParam = ({ storage }: Program, { op, attributes }: Node): boolean =>
  op === "port" && storage.bindings[attributes.name as string]?.buffer === "params";

const placeOf = ({ location }: Node): string => (location === undefined ? "" : `${location.file}:${location.line}`);

/** Methods whose formula is a parameter in place of a tensor of the base: it has the place of its declaration, and computes nothing. */
const replacing = ["ln-tuning", "prompt-tuning"];

describe.each(part(Object.keys(adapters), 3))("kernels of %s", (name) => {
  it("know the lines of what they compute", async () => {
    const program = await compileAdapter(model, name, {});
    const graphs = new Map<string, Graph>(program.stages.map((stage) => [stage.name, stage.graph]));
    const reading = program.plan.stages.flatMap(({ name: stage, dispatches }) => {
      const { nodes } = graphs.get(stage)!;
      return dispatches.map((dispatch) => ({
        at: `${stage} ${dispatch.kernel}`,
        parameters: dispatch.nodes
          .flatMap((id) => nodes[id]!.inputs.map((input) => nodes[input]!))
          .filter((port) => isParam(program, port)),
        lines: dispatch.nodes.map((id) => placeOf(nodes[id]!)).filter((place) => place !== ""),
      }));
    });
    const ofModel = reading.filter(
      ({ at, parameters }) => parameters.length > 0 && /^(micro|forward)(_parameters)? /.test(at),
    );
    expect(ofModel.length).toBeGreaterThan(0);
    expect(ofModel.filter(({ parameters }) => parameters.some((node) => placeOf(node) === ""))).toEqual([]);
    // No pass has rules of its own that nobody could look up.
    const applied = program.timeline.flatMap(({ hits }) => Object.keys(hits));
    expect(applied.filter((rule) => ruleRecords()[rule] === undefined)).toEqual([]);
    if (!replacing.includes(name)) expect(ofModel.filter(({ lines }) => lines.length === 0)).toEqual([]);
  });
});

it("rules know the file and the line where they are written", () => {
  const source = (file: string): string[] =>
    readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8").split("\n");
  for (const [name, { place }] of Object.entries(ruleRecords())) {
    const [, file = "", line] = /^(.+\.ts):(\d+)$/.exec(place) ?? [];
    expect(file === "" ? "nowhere" : source(file)[Number(line) - 1], name).toContain(`name: "${name}"`);
  }
});

it("nodes of a gradient say so, and keep the line of what they are the gradient of", async () => {
  const program = await compileAdapter(model, "lora", {});
  const { graph } = program.stages.find(({ name }) => name === "micro")!;
  const backward = graph.nodes.filter(({ phase }) => phase === "backward");
  expect(backward.length).toBeGreaterThan(50);
  const gradients = graph.outputs.filter(({ name }) => name.startsWith("grad.")).map(({ node }) => graph.nodes[node]!);
  expect(gradients.every(({ phase, location }) => phase === "backward" && location?.file === "lora.ts")).toBe(true);
  const loss = graph.nodes[graph.outputs.find(({ name }) => name === "loss")!.node]!;
  expect(loss.phase).toBeUndefined();
});
