import { describe, expect, it } from "vitest";
import { cpuTarget, defaultTarget, generate, printKernel } from "../../src/codegen/index.ts";
import { noStorage } from "../runtime/executor-samples.ts";
import { loraForward, rmsNormGraph, softmaxGraph } from "./graphs.ts";

describe("texts of a kernel", () => {
  const { kernels } = generate([{ name: "forward", graph: softmaxGraph(16, 32) }], noStorage, cpuTarget);

  it("kernel IR", () => {
    expect(printKernel(kernels[0]!.ir, kernels[0]!.name)).toMatchSnapshot();
  });

  it("WGSL", () => {
    expect(kernels[0]!.wgsl).toMatchSnapshot();
  });

  it("one kernel serves rows of every number and length of a kind", () => {
    const other = generate([{ name: "forward", graph: softmaxGraph(24, 64) }], noStorage, cpuTarget);
    expect(other.kernels.map((k) => k.name)).toEqual(kernels.map((k) => k.name));
  });
});

/** One kernel of every schedule, as people read it in a dump. */
describe.each([cpuTarget, defaultTarget])("WGSL on a $kind target", (target) => {
  it.each([
    ["a product with a low-rank update", loraForward(64, 64, 8)],
    ["a product of large matrices with a low-rank update", loraForward(512, 512, 8)],
    ["RMSNorm", rmsNormGraph(64, 128)],
  ])("%s", (_name, graph) => {
    const { kernels } = generate([{ name: "forward", graph }], noStorage, target);
    expect(kernels.map((k) => k.wgsl).join("\n")).toMatchSnapshot();
  });
});
