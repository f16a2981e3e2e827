/** What `compile` does at once, and what only when somebody asks. */
import { describe, expect, it } from "vitest";
import { type CompileOptions, compile, type Graph, inspectionFiles, loadModel, type Program } from "../src/index.ts";
import { parseGraph } from "../src/ir/text/parse.ts";

const config = { peft_type: "LORA", r: 4, target_modules: ["q_proj"] };
const compiled = async (mode: CompileOptions["mode"] = "train"): Promise<Program> =>
  compile(await loadModel("test/fixtures/golden/bases/llama"), config, { batch: 2, length: 8, mode });
const withoutOrigin = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map(({ from: _from, phase: _phase, ...node }) => node),
});
const stagesIn = (program: Program): string[] => [...new Set(program.timeline.map(({ stage }) => stage))].sort();

describe("a program", () => {
  it("lowers fresh values and merging once, when they are asked for", async () => {
    const program = await compiled();
    expect(stagesIn(program)).toEqual(["forward", "micro"]);
    const merged = program.merge!();
    expect(stagesIn(program)).toEqual(["forward", "merge", "micro"]);
    expect(program.merge!()).toBe(merged);
    expect(program.graph("tensor", "merge")).toBe(merged);
    const passes = program.timeline.length;
    program.init!();
    program.init!();
    expect(stagesIn(program)).toEqual(["forward", "init", "merge", "micro"]);
    expect(program.timeline.length - passes).toBe(4);
  });

  it("shows itself at three levels, as text, as JSON and as Graphviz", async () => {
    const program = await compiled();
    for (const level of ["operator", "tensor"] as const)
      expect(parseGraph(program.print(level), level)).toEqual(withoutOrigin(program.graph(level)));
    const kernels = program.graph("kernel");
    expect(kernels.map(({ name }) => name)).toEqual(program.kernels.map(({ name }) => name));
    expect(JSON.parse(JSON.stringify(kernels))).toEqual(kernels);
    for (const { name } of kernels) expect(program.print("kernel")).toContain(name);
    const dot = program.toDot("kernel");
    const dispatches = program.plan.stages.flatMap((stage) => stage.dispatches);
    expect(dot.match(/ \[label="/g)).toHaveLength(dispatches.length);
    // Every dispatch but the first reads what another one wrote, or only what is uploaded.
    expect(dot.match(/ -> /g)!.length).toBeGreaterThan(dispatches.length / 2);
    expect(dot).toMatch(/^digraph "plan" \{[\s\S]*\n\}\n$/);
  });

  it("counts the work of one step, evaluation apart, and of each stage", async () => {
    const { kernels, plan } = await compiled();
    const inPlan = (field: "flops" | "bytes", ...names: string[]): number =>
      plan.stages
        .filter(({ name }) => names.includes(name))
        .flatMap(({ dispatches }) => dispatches)
        .reduce((sum, dispatch) => sum + dispatch[field], 0);
    const ofKernels = (of: (kernel: (typeof kernels)[number]) => number | undefined): number =>
      kernels.reduce((sum, kernel) => sum + (of(kernel) ?? 0), 0);
    for (const field of ["flops", "bytes"] as const) {
      expect(ofKernels((kernel) => kernel[field])).toBe(inPlan(field, "micro", "update"));
      expect(ofKernels(({ stages }) => stages.forward?.[field])).toBe(inPlan(field, "forward"));
    }
    const evaluation = await compiled("infer");
    expect(evaluation.kernels.reduce((sum, { flops }) => sum + flops, 0)).toBe(inPlan("flops", "forward"));
  });

  it("counts the rows that a lookup takes, not the table", async () => {
    const model = await loadModel("test/fixtures/golden/bases/llama");
    const rows = 4000;
    const weights: Record<string, { shape: readonly number[]; dtype: "F16"; data: Uint16Array }> = {};
    for (const key of model.weights.keys()) {
      const [vocabulary, ...rest] = model.weights.info(key)!.shape;
      const shape = /embed|lm_head/.test(key) ? [rows, ...rest] : [vocabulary!, ...rest];
      weights[key] = { shape, dtype: "F16", data: new Uint16Array(shape.reduce((a, b) => a * b, 1)) };
    }
    const wide = await loadModel({ config: { ...model.config, vocab_size: rows }, weights });
    const program = await compile(wide, null, { batch: 1, length: 8, mode: "infer" });
    const { nodes } = program.graph("tensor", "forward");
    const [forward] = program.plan.stages.filter(({ name }) => name === "forward");
    const lookup = forward!.dispatches.find((dispatch) => dispatch.nodes.some((id) => nodes[id]!.op === "gather"))!;
    const taken = 8 * Number(model.config.hidden_size);
    expect(lookup).toMatchObject({ flops: taken, bytes: 8 * 4 + taken * (2 + 4) });
  });

  it("counts what several parts of a dispatch read once", async () => {
    const model = await loadModel("test/fixtures/golden/bases/llama");
    const gated = { peft_type: "LORA", r: 2, target_modules: ["gate_proj", "up_proj"] };
    const program = await compile(model, gated, { batch: 3, length: 7, mode: "infer" });
    const { nodes } = program.graph("tensor", "forward");
    const [forward] = program.plan.stages.filter(({ name }) => name === "forward");
    const narrow = (id: number): boolean =>
      nodes[id]!.op === "einsum" && JSON.stringify(nodes[id]!.type).includes("[3,7,2]");
    const shared = forward!.dispatches.filter((dispatch) => dispatch.nodes.filter(narrow).length === 2);
    expect(shared.length).toBeGreaterThan(0);
    const width = Number(model.config.hidden_size);
    const [x, A, made] = [3 * 7 * width, 2 * width, 3 * 7 * 2];
    for (const dispatch of shared)
      expect(dispatch).toMatchObject({
        reads: 4 * (x + 2 * A),
        writes: 4 * 2 * made,
        flops: 2 * (2 * made * width + made),
      });
    for (const { dispatches } of program.plan.stages)
      for (const { bindings, reads } of dispatches)
        expect(reads).toBeLessThanOrEqual(bindings.reduce((sum, { size }) => sum + size, 0));
  });

  it("is not compiled further once it is told to stop", async () => {
    const llama = await loadModel("test/fixtures/golden/bases/llama");
    const abort = new AbortController();
    const compiling = compile(llama, config, { batch: 2, length: 8, signal: abort.signal });
    setTimeout(() => abort.abort());
    await expect(compiling).rejects.toMatchObject({ name: "AbortError" });
    const program = await compile(llama, config, { batch: 2, length: 8, signal: new AbortController().signal });
    expect(stagesIn(program)).toEqual(["forward", "micro"]);
  });

  it("that only merges has its graph at once", async () => {
    const program = await compiled("merge");
    expect(stagesIn(program)).toEqual(["merge"]);
    expect(program.graph("tensor")).toBe(program.merge!());
  });

  it("is inspected whole, and the same whatever was asked for before", async () => {
    const [fresh, used] = [await compiled("infer"), await compiled("infer")];
    used.init!();
    used.merge!();
    const graphs = (program: Program) => inspectionFiles(program).get("graph.json")!;
    expect(Object.keys(JSON.parse(graphs(fresh)) as object)).toEqual([
      "operator",
      "prepare",
      "forward",
      "merge",
      "init",
    ]);
    expect(graphs(fresh)).toBe(graphs(used));
    expect(stagesIn(fresh)).toEqual(["forward", "init", "merge"]);
  });
});
