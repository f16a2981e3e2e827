/** Prepare, the manager's timeline, and what norms of adapted rows may make. */
import { applyPatches, enablePatches } from "immer";
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type Graph, portName, portRole } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { verify } from "../../src/ir/verify.ts";
import { algebraRules } from "../../src/passes/algebra.ts";
import { associate } from "../../src/passes/associate.ts";
import { PassManager, type PipelineState } from "../../src/passes/manager.ts";
import { joinPrepared, splitPrepare } from "../../src/passes/prepare.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { portData } from "./files.ts";

describe("the norm of the rows of W + B A", () => {
  const [m, n, rank] = [24, 20, 2];
  function rowNorm(): Graph {
    const b = new Builder("norm");
    const W = b.dense(b.port("W", "weight", "f32", [m, n]));
    const factors = [b.dense(b.port("B", "param", "f32", [m, rank])), b.dense(b.port("A", "param", "f32", [rank, n]))];
    const sum = b.add("op.add", [W, b.add("op.compose", factors)]);
    return b.finish([{ name: "norm", node: b.add("op.row_norm", [sum]) }]);
  }
  const lower = (): Graph =>
    rewrite(associate(rewrite(rowNorm(), algebraRules).graph, { train: true }).graph, simplifyRules).graph;

  it("makes no matrix of W's size that depends on the adapter", () => {
    const graph = lower();
    const trained: boolean[] = [];
    graph.nodes.forEach((node) => {
      const isParam = node.op === "port" && portRole(node) === "param";
      trained.push(isParam || node.inputs.some((i) => trained[i]));
    });
    const large = graph.nodes.filter((node, id) => trained[id] && sizeOf((node.type as TensorType).shape) >= m * n);
    expect(large).toEqual([]);
  });

  it("is the norm", () => {
    const data = portData(rowNorm(), 3);
    const [W, A, B] = [data.W!, data.A!, data.B!];
    const got = evaluate(lower(), data).norm!.data;
    for (let i = 0; i < m; i++) {
      const row = Array.from({ length: n }, (_unused, j) => {
        const update = Array.from({ length: rank }, (_factor, k) => B[i * rank + k]! * A[k * n + j]!);
        return W[i * n + j]! + update.reduce((sum, x) => sum + x, 0);
      });
      expect(got[i]!).toBeCloseTo(Math.hypot(...row), 10);
    }
  });
});

describe("prepare", () => {
  /** Squared row norms of a frozen matrix scale what the parameters make of x. */
  function graph(scale: number): Graph {
    const b = new Builder("main");
    const W = b.port("W", "weight", "f32", [4, 6]);
    const x = b.port("x", "input", "f32", [2, 6]);
    const A = b.port("A", "param", "f32", [4, 6]);
    const squares = b.sum(b.mul(W, b.add("exp", [W])), [1]);
    const y = b.einsum("nk,ok->no", x, b.plus(W, A));
    return b.finish([{ name: "y", node: b.scale(b.mul(y, squares), scale) }]);
  }
  const joinedNumbers = (main: Graph, prepare: Graph, data: Record<string, ArrayLike<number>>) => {
    const kept = Object.entries(evaluate(prepare, data)).map(([name, { data: numbers }]) => [name, numbers] as const);
    return [...evaluate(main, { ...data, ...Object.fromEntries(kept) }).y!.data];
  };

  it("keeps what depends on frozen data only, and nothing that the adapter or the inputs reach", () => {
    const { prepare, main, derived } = splitPrepare(graph(2));
    expect(derived.map(({ shape }) => shape)).toEqual([[4]]);
    const roles = prepare.nodes.filter(({ op }) => op === "port").map(portRole);
    expect(new Set(roles)).toEqual(new Set(["weight"]));
    expect(main.nodes.some(({ op }) => op === "exp")).toBe(false);
    verify(prepare, "tensor");
    verify(main, "tensor");
    const data = portData(graph(2), 4);
    expect(joinedNumbers(main, prepare, data)).toEqual([...evaluate(graph(2), data).y!.data]);
  });

  it("derives once what several stages read", () => {
    const { prepare, mains, derived } = joinPrepared([graph(2), graph(3)]);
    expect(derived).toHaveLength(1);
    const data = portData(graph(2), 4);
    [2, 3].forEach((scale, i) => {
      expect(mains[i]!.nodes.some((node) => node.op === "port" && portName(node) === derived[0]!.name)).toBe(true);
      expect(joinedNumbers(mains[i]!, prepare, data)).toEqual([...evaluate(graph(scale), data).y!.data]);
    });
  });
});

describe("the pass manager", () => {
  const start = (): Graph => {
    const b = new Builder("main");
    const W = b.dense(b.port("W", "weight", "f32", [6, 6]));
    const x = b.port("x", "input", "f32", [2, 6]);
    const d = b.add("op.diag", [b.port("d", "param", "f32", [6])]);
    const product = b.add("op.compose", [b.add("op.identity", [], { size: 6 }), b.add("op.compose", [W, d])]);
    return b.finish([{ name: "y", node: b.apply(product, x) }]);
  };

  function run() {
    const checked: string[] = [];
    const manager = new PassManager({ verify: (_graph, pass) => checked.push(pass), now: () => 0 });
    manager.run("build", "evaluate", () => ({ graph: start() }));
    manager.run("algebra", "evaluate", (graph) => rewrite(graph, algebraRules));
    manager.run("associate", "evaluate", (graph) => associate(graph, { train: false }));
    manager.run("simplify", "evaluate", (graph) => rewrite(graph, simplifyRules));
    return { manager, checked };
  }

  it("checks the graph after every pass, and names what the rules did", () => {
    const { manager, checked } = run();
    expect(checked).toEqual(["build", "algebra", "associate", "simplify"]);
    expect(manager.timeline[1]!.hits).toMatchObject({ "flatten-product": 1, "identity-in-product": 1 });
    expect(manager.timeline[2]!.notes).toHaveLength(1);
  });

  it("has patches that play the graphs forwards and backwards", () => {
    enablePatches();
    const { manager } = run();
    const snapshot = (pass: string): Graph => manager.after(pass, "evaluate")!;
    let state: PipelineState = { graphs: {} };
    const states = [state];
    for (const entry of manager.timeline) {
      state = applyPatches(state, [...entry.patches]);
      expect(state.graphs.evaluate!.outputs).toEqual(snapshot(entry.pass).outputs);
      const named = (graph: Graph) =>
        graph.nodes.map(({ op, inputs, attributes, type }) => ({ op, inputs, attributes, type }));
      expect(named(state.graphs.evaluate!)).toEqual(named(snapshot(entry.pass)));
      states.push(state);
    }
    for (let at = manager.timeline.length - 1; at >= 0; at--) {
      state = applyPatches(state, [...manager.timeline[at]!.inversePatches]);
      expect(state).toEqual(states[at]);
    }
  });
});
