/** The files of an inspection: complete, consistent with each other, the same every time. */
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { wasmTarget } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import type { ReportData } from "../../src/inspect/report-types.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { hashGraph } from "../../src/ir/hash.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { baseModel } from "../golden/helpers.ts";

const config = { peft_type: "OFT", r: 0, oft_block_size: 8, target_modules: ["q_proj", "down_proj"] };

let program: Program;
let files: ReadonlyMap<string, string>;

const make = async (): Promise<Program> => compile(await baseModel("llama"), config, { batch: 2, length: 8 });

beforeAll(async () => {
  program = await make();
  files = inspectionFiles(program);
});

function report(): ReportData {
  const json = files.get("report.html")!.match(/<script type="application\/json" id="data">(.*)<\/script>/);
  return JSON.parse(json![1]!) as ReportData;
}

it("the report of a program is the page of its inspection", () => {
  // Milliseconds of passes are the same: they were taken when it was compiled.
  expect(program.report()).toBe(files.get("report.html"));
});

it("names that a program does not have are refused with those that it has", () => {
  const element = {} as HTMLElement;
  const unknown: readonly (readonly [() => unknown, string])[] = [
    [() => program.print("nope" as never), "operator, tensor, kernel"],
    [() => program.toDot("nope" as never), "operator, tensor, kernel"],
    [() => program.graph("tensor", "nope" as never), "micro"],
    [() => program.graphAfter("nope", "micro"), "algebra"],
    [() => program.graphAfter("algebra", "nope" as never), "micro"],
    [() => program.view(element, { view: "nope" as never }), "graph"],
  ];
  for (const [call, known] of unknown)
    expect(call).toThrow(
      expect.objectContaining({ code: "INSPECT-UNKNOWN", expected: expect.stringContaining(known) }),
    );
  expect(program.graphAfter("hoist", "update")).toBeUndefined();
});

describe("inspection files", () => {
  it("have the agreed names", () => {
    const names = [...files.keys()].filter((name) => !name.startsWith("kernels/"));
    const graphs = ["graph.operator.ir", "graph.tensor.ir", "graph.kernel.ir", "graph.json", "graph.dot"];
    expect(names).toEqual([...graphs, "kernels.json", "plan.json", "timeline.json", "report.html"]);
  });

  it("have the module that processors run beside WGSL, a function for every kernel and its sizes", async () => {
    const own = inspectionFiles(
      await compile(await baseModel("llama"), config, { batch: 2, length: 8, target: wasmTarget }),
    );
    const text = own.get("kernels.wat")!;
    const { kernels } = JSON.parse(own.get("plan.json")!) as { kernels: { name: string }[] };
    for (const { name } of kernels) expect(text).toMatch(new RegExp(`\\(func \\$${name}_\\d+ \\(export`));
    expect(text).toMatch(/^\(module\n {2}\(import "env" "memory"/);
  });

  it("hold graphs that parse back", () => {
    const text = (name: string): string => hashGraph(parseGraph(files.get(name)!));
    expect(text("graph.operator.ir")).toBe(hashGraph(program.graph("operator")));
    expect(text("graph.tensor.ir")).toBe(hashGraph(program.graph("tensor")));
    const graphs = JSON.parse(files.get("graph.json")!) as Record<string, Graph>;
    expect(Object.keys(graphs)).toEqual(["operator", ...program.stages.map((s) => s.name), "merge", "init"]);
    expect(graphs.micro).toEqual(program.graph("tensor"));
  });

  it("leave the merge out for a method that has none", async () => {
    const prompt = { peft_type: "PROMPT_TUNING", num_virtual_tokens: 2, task_type: "CAUSAL_LM" };
    const own = inspectionFiles(await compile(await baseModel("llama"), prompt, { batch: 2, length: 8 }));
    const graphs = JSON.parse(own.get("graph.json")!) as Record<string, Graph>;
    expect(Object.keys(graphs)).toEqual(["operator", "prepare", "micro", "forward", "update", "init"]);
  });

  it("have a WGSL file for every kernel of the plan", () => {
    const plan = JSON.parse(files.get("plan.json")!) as {
      kernels: { name: string; file: string }[];
      stages: { dispatches: { kernel: string }[] }[];
    };
    const used = new Set(plan.stages.flatMap((stage) => stage.dispatches.map((d) => d.kernel)));
    expect(new Set(plan.kernels.map((k) => k.name))).toEqual(used);
    for (const { file } of plan.kernels) expect(files.get(file)).toContain("@compute");
  });

  it("have a timeline of what rules did and what was compared, without copies of graphs", () => {
    const entries = JSON.parse(files.get("timeline.json")!) as Record<string, unknown>[];
    for (const entry of entries) expect(Object.keys(entry)).not.toContain("patches");
    expect(entries.map(({ hits }) => hits)).toEqual(program.timeline.map(({ hits }) => hits));
    expect(program.timeline.some(({ patches }) => patches.length > 0)).toBe(true);
  });

  it("are the same for the same program, but for the times that passes took", async () => {
    const again = inspectionFiles(await make());
    const timed = new Set(["timeline.json", "report.html"]);
    for (const [name, text] of files) if (!timed.has(name)) expect(again.get(name), name).toBe(text);
  });
});

describe("the report", () => {
  it("needs nothing but itself", () => {
    expect(files.get("report.html")).not.toMatch(/\b(src|href)="(?!#)/);
    // Every SVG element is made by naming this; nothing is asked for there.
    const addresses = files.get("report.html")!.match(/https?:\/\/[^\s"'`]+/g) ?? [];
    expect(addresses.filter((own) => own !== "http://www.w3.org/2000/svg")).toEqual([]);
  });

  it("has its script and its style, which are small, and data that packing does not change", () => {
    const html = files.get("report.html")!;
    const [, script = ""] = html.match(/<script id="script">(.*?)<\/script>/s)!;
    expect(script.length).toBeGreaterThan(10_000);
    expect(html.length - JSON.stringify(report()).length).toBeLessThan(200_000);
    const pack = (text: string): string => gzipSync(text).toString("base64");
    const packed = inspectionFiles(program, { pack }).get("report.html")!;
    const [, data = ""] = packed.match(/<script type="application\/gzip" id="data">(.*?)<\/script>/)!;
    expect(JSON.parse(gunzipSync(Buffer.from(data, "base64")).toString())).toEqual(report());
  });

  it("shows the formula, the passes, what was compared and every kernel", () => {
    const data = report();
    expect(data.fragments.map(({ text }) => text).join()).toContain("W' = W @ D.T");
    expect(data.passes.find((p) => p.stage === "micro" && p.pass === "algebra")!.hits["transpose-of-blocks"]).toBe(4);
    expect(data.decisions.flatMap((d) => d.scopes)).toContain("model.layers.1.mlp.down_proj");
    for (const { candidates, decision } of data.decisions) {
      expect(candidates[decision]).toBe(Math.min(...Object.values(candidates)));
    }
    expect(data.kernels.map((k) => k.name)).toEqual(program.kernels.map((k) => k.name));
  });

  it("links every dispatch to a kernel and to nodes that exist, every part to its sizes and to what it stores", () => {
    const data = report();
    const kernels = new Map(data.kernels.map((kernel) => [kernel.name, kernel]));
    const used = new Set<string>();
    for (const stage of data.stages) {
      const planned = program.plan.stages.find(({ name }) => name === stage.name)!;
      expect(stage.dispatches.length).toBe(planned.dispatches.length);
      for (const [i, { kernel, nodes, parts }] of stage.dispatches.entries()) {
        used.add(kernel);
        expect(nodes.length).toBeGreaterThan(0);
        for (const node of nodes) expect(node).toBeLessThan(stage.nodes.length);
        const [x, y] = planned.dispatches[i]!.grid;
        const workgroups = parts.reduce((sum, part) => sum + part.workgroups, 0);
        expect(workgroups).toBeLessThanOrEqual(x * y);
        expect(workgroups).toBeGreaterThan(x * (y - 1));
        for (const { stored, words } of parts) {
          expect(words.length).toBe(kernels.get(kernel)!.words.length);
          expect(stored.length).toBeGreaterThan(0);
        }
      }
      const stored = stage.dispatches.flatMap(({ parts }) => parts.flatMap((part) => part.stored));
      for (const [node, , , bytes, first, last] of stage.values) {
        expect(stored).toContain(node);
        expect(bytes).toBeGreaterThan(0);
        expect(first).toBeLessThanOrEqual(last);
      }
    }
    expect(used).toEqual(new Set(kernels.keys()));
  });

  it("says for every node where in the formula it was written", () => {
    const { fragments, stages, texts } = report();
    const lines = new Set(stages.flatMap(({ nodes }) => nodes.map((node) => texts[node[3]]!)));
    lines.delete("");
    expect(lines.size).toBeGreaterThan(1);
    for (const line of lines) {
      const [file, at] = line.split(":");
      const fragment = fragments.find((own) => own.file === file)!;
      expect(fragment.text.split("\n")[Number(at) - fragment.line]).toMatch(/\S/);
    }
  });
});
