import { describe, expect, it } from "vitest";
import { cpuTarget, generate, printKernel } from "../../src/codegen/index.ts";
import { noStorage } from "../runtime/executor-samples.ts";
import { softmaxGraph } from "./graphs.ts";

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
