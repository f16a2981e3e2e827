/**
 * Rows by subgroups, whatever a device makes of subgroups: the kernels, interpreted with subgroups of every size and shape, and run on the
 * device where it has them, against f64 evaluation.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { arrange, cpuTarget, defaultTarget, generate, type Target, verifyKernel } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { portName } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { hostTensor } from "../../src/runtime/files/tensor.ts";
import { difference, generator, noStorage, programOf } from "../runtime/executor-samples.ts";
import { sharedDevice } from "../shared-device.ts";
import { rmsNormGraph, softmaxGraph } from "./graphs.ts";
import { Simulation } from "./simulate.ts";

const target: Target = { ...defaultTarget, features: ["subgroups"] };

/** A sum of 9000 terms, in blocks, and the largest of them. */
function longRows(): Graph {
  const k = new Builder("long rows");
  const x = k.port("x", "input", "f32", [3, 9000]);
  return k.finish([
    { name: "sum", node: k.sum(x, [1]) },
    { name: "largest", node: k.max(x, [1]) },
  ]);
}

const graphs: readonly (readonly [string, Graph])[] = [
  ["softmax", softmaxGraph(6, 200)],
  ["softmax of ragged rows", softmaxGraph(5, 77)],
  ["RMSNorm", rmsNormGraph(6, 96)],
  ["long rows", longRows()],
];

function feedsFor(graph: Graph): Record<string, Float32Array> {
  const random = generator(5);
  const ports = graph.nodes.filter((node) => node.op === "port");
  const drawn = (n: number): Float32Array => Float32Array.from({ length: n }, () => random() - 0.7);
  return Object.fromEntries(ports.map((node) => [portName(node), drawn(sizeOf((node.type as TensorType).shape))]));
}

/** How devices form subgroups of 64 invocations: of each size in a row, every n-th, of unequal sizes, in an order of their own. */
const partitions: readonly (readonly [string, (local: number) => number])[] = [
  ...[1, 4, 8, 16, 32, 64, 128].map(
    (size) => [`${size} in a row`, (local: number) => Math.floor(local / size)] as const,
  ),
  ["every eighth", (local) => local % 8],
  ["of 40 and 24", (local) => Number(local >= 40)],
  ["mixed", (local) => (local * 37) % 5],
];

describe.each(graphs)("%s", (_name, graph) => {
  const stages = [{ name: "forward" as const, graph }];
  const generated = generate(stages, noStorage, target);

  it("is made by subgroups where the target has them, and only there", () => {
    const chosen = (of: Target): (string | undefined)[] =>
      arrange(stages, noStorage, of).steps[0]!.bodies.map(({ choice }) => choice.chosen);
    expect(chosen(target)).toContain("rows by subgroups");
    expect(chosen(defaultTarget)).not.toContain("rows by subgroups");
    expect(chosen({ ...cpuTarget, features: ["subgroups"] })).toEqual(chosen(cpuTarget));
    for (const { ir, wgsl } of generated.kernels) {
      verifyKernel(ir);
      expect(wgsl.includes("subgroupAdd")).toBe(/^enable subgroups;$/m.test(wgsl));
    }
  });

  it.each(partitions)("is right with subgroups %s", (_what, subgroupOf) => {
    const feeds = feedsFor(graph);
    const got = new Simulation(generated, { subgroupOf }).run("forward", feeds);
    const expected = evaluate(graph, feeds);
    for (const name of Object.keys(expected)) expect(difference(got[name]!, expected[name]!.data)).toBeLessThan(2e-6);
  });
});

describe("on the device", () => {
  let open: OpenDevice;

  beforeAll(async () => {
    open = await sharedDevice();
  });

  it.each(graphs)("%s", async (_name, graph) => {
    const { features } = open.target;
    // Without subgroups the program is the one that other tests run.
    const executor = webgpuExecutor(open, { target: { ...target, features } });
    const feeds = feedsFor(graph);
    const weights = Object.entries(feeds).map(
      ([name, data]) => [name, hostTensor("F32", [data.length], data)] as const,
    );
    const instance = await executor.instantiate(programOf({ forward: graph }), new Map(weights));
    const names = graph.outputs.map(({ name }) => name);
    const got = await instance.run(["forward"], feeds, names);
    instance.dispose();
    const expected = evaluate(graph, feeds);
    for (const name of names) expect(difference(got[name]!, expected[name]!.data)).toBeLessThan(2e-6);
  });
});
