/**
 * What a training step of every method may cost. Counts, never milliseconds. `budgets.json` has what it costs; less is written there, more
 * is a defect or a decision.
 */
import { beforeAll, describe, expect, it } from "vitest";
import compared from "../../bench/methods.json" with { type: "json" };
import { cpuTarget, targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { methods } from "../../src/methods/index.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import type { Model } from "../../src/runtime/files/model.ts";
import { part } from "../extent.ts";
import { sharedDevice } from "../shared-device.ts";
import budgets from "./budgets.json" with { type: "json" };
import { countCalls } from "./calls.ts";
import { type Association, adapters, association, type Cost, compileAdapter, llama, sizes, stepCost } from "./llama.ts";

let model: Model;
let open: OpenDevice;

beforeAll(async () => {
  model = await llama();
  open = await sharedDevice();
});

const limits = budgets as Readonly<Record<string, Cost & { readonly association: Association }>>;

const names = Object.keys(adapters);

describe("a training step", () => {
  /** A program is told apart from the one that is made again, so it is compiled once more only. */
  const first = new Map<string, Program>();

  it.each(names)("with %s stays within its budget", async (name) => {
    const program = await compileAdapter(model, name, { target: cpuTarget });
    first.set(name, program);
    const cost = stepCost(program);
    const { association: chosen, ...limit } = limits[name]!;
    const over = Object.entries(limit).filter(([key, most]) => cost[key as keyof Cost] > most);
    expect(association(program)).toEqual(chosen);
    expect(over, JSON.stringify(cost)).toEqual([]);
  });

  it.each(part(names, 8))("with %s has the same kernels and plan again", async (name) => {
    const again = await compileAdapter(model, name, { target: cpuTarget });
    expect(JSON.stringify(again.generated)).toBe(JSON.stringify(first.get(name)!.generated));
  });
});

it("every method has a budget, and a row in the comparison of their speed", () => {
  const typesOf = (configs: readonly Readonly<Record<string, unknown>>[]): unknown[] =>
    [...new Set(configs.map((config) => config.peft_type))].sort();
  const all = [...methods.keys()].sort();
  expect(typesOf(Object.values(adapters))).toEqual(all);
  expect(typesOf(compared.map(({ config }) => config))).toEqual(all);
});

describe("a step on the device", () => {
  const tokens = Int32Array.from({ length: sizes.batch * sizes.length }, (_, i) => (i * 37) % sizes.vocabulary);

  it("is what the plan says: at most 130 dispatches, one submit, no new arena", async () => {
    const program = await compileAdapter(model, "lora", { target: targetOf(open.target) });
    const session = await program.start({ device: open });
    try {
      const step = (): Promise<unknown> => session.step({ input_ids: tokens, labels: tokens }, { lr: 1e-3 });
      await step();
      const calls = await countCalls(open.device, step);
      expect(calls.submits).toBe(1);
      expect(calls.dispatches).toBe(stepCost(program).dispatches);
      expect(calls.dispatches).toBeLessThanOrEqual(130);
      expect(calls.created).toEqual([]);
    } finally {
      session.dispose();
    }
  });
});

describe("values of a weight's size", () => {
  // With 48 tokens no activation has as many elements as a targeted weight. What the graph lacks the arena cannot hold; ranges of the plan
  // tell less, since one binding may cover several values.
  const options = { target: cpuTarget, batch: 2, length: 24 };
  const elements = sizes.width * sizes.width;
  const weightSized = ({ stages }: Program): number =>
    stages
      .find((stage) => stage.name === "micro")!
      .graph.nodes.filter((node) => node.op !== "port" && sizeOf((node.type as TensorType).shape) === elements).length;

  it.each(["dora", "boft"])("%s makes none", async (name) => {
    expect(weightSized(await compileAdapter(model, name, options))).toBe(0);
  });

  it("are seen where there are some: gradients of whole weights", async () => {
    expect(weightSized(await compile(model, null, { ...options, full: true }))).toBeGreaterThanOrEqual(16);
  });
});
