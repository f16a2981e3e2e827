/** Passes on texts: `// RUN: pass words` says what is run, and the checks what its printed result holds. */
import { describe, expect, it } from "vitest";
import { type Graph, portName, ports } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import type { OperatorType } from "../../src/ir/types.ts";
import { verify } from "../../src/ir/verify.ts";
import type { ModuleInfo } from "../../src/models/model.ts";
import { associate } from "../../src/passes/associate.ts";
import { type Attachment, attach, type SiteAdapter } from "../../src/passes/attach.ts";
import { differentiate } from "../../src/passes/differentiate.ts";
import { hoist, splitBackward, withBackward } from "../../src/passes/hoist.ts";
import { mergeGraph } from "../../src/passes/merge.ts";
import { partition } from "../../src/passes/partition.ts";
import { splitPrepare } from "../../src/passes/prepare.ts";
import { rewrite } from "../../src/passes/rewrite.ts";
import { simplifyRules } from "../../src/passes/simplify.ts";
import { failedChecks, numericDifference, passFiles } from "./files.ts";

/** W' = W + B A of rank 2. */
const lowRank =
  (path: string): SiteAdapter =>
  (b, { weight, bias }) => {
    const { out, in: width } = b.operator(weight) as OperatorType;
    const factor = (name: string, shape: readonly number[]): number =>
      b.dense(b.port(`${path}.${name}`, "param", "f32", shape));
    const product = b.add("op.compose", [factor("B", [out, 2]), factor("A", [2, width])]);
    return { weight: b.add("op.add", [weight, product]), ...(bias !== undefined && { bias }) };
  };

/** `path` puts an adapter at a site, `trained=path.name` trains a tensor of the base. */
function attachment(words: readonly string[]): Attachment {
  const trained = words.flatMap((word) => (word.startsWith("trained=") ? [word.slice("trained=".length)] : []));
  const paths = words.filter((word) => !word.includes("="));
  return {
    sites: new Map(paths.map((path) => [path, lowRank(path)])),
    trained: new Map(trained.map((name) => [name, `copy.${name}`])),
  };
}

/** The modules whose sites stand in a graph; their tensors are ports. */
function modulesOf({ nodes }: Graph): ModuleInfo[] {
  const key = (id: number | undefined): string => portName(nodes[id!]!);
  return nodes.flatMap(({ op, inputs, attributes }): ModuleInfo[] => {
    const path = attributes.path as string;
    if (op === "site.embedding") {
      const { shape } = nodes[inputs[0]!]!.attributes as { shape: readonly number[] };
      return [{ path, kind: "embedding", layout: "linear", weight: key(inputs[0]), in: shape[0]!, out: shape[1]! }];
    }
    if (op !== "site.linear") return [];
    const { shape } = nodes[inputs[1]!]!.attributes as { shape: readonly number[] };
    const bias = inputs[2] === undefined ? {} : { bias: key(inputs[2]) };
    return [{ path, kind: "linear", layout: "linear", weight: key(inputs[1]), ...bias, in: shape[1]!, out: shape[0]! }];
  });
}

type Run = (graph: Graph, words: readonly string[]) => readonly Graph[];

/** What every pass makes of a graph; those that make several print them one behind the other. */
const runs: Readonly<Record<string, Run>> = {
  associate: (graph, words) => [
    associate(graph, { train: words.includes("train"), fold: !words.includes("no-fold") }).graph,
  ],
  differentiate: (graph) => [differentiate(graph)],
  prepare: (graph) => {
    const { prepare, main } = splitPrepare(graph);
    return [prepare, main];
  },
  hoist: (graph, words) => {
    const { main, parameters } = hoist(graph, "micro");
    if (!words.includes("train")) return [parameters, main];
    const given = differentiate(main, { zeros: false });
    const params = ports(graph, "param").map(({ node }) => node);
    const whole = rewrite(withBackward(parameters, given, params), simplifyRules).graph;
    const made = splitBackward(whole, "micro");
    return [made.parameters, given, made.backward];
  },
  partition: (graph, [limit]) => [partition(graph, Number(limit)).graph],
  attach: (graph, words) => [attach(graph, attachment(words))],
  merge: (graph, words) => [mergeGraph(modulesOf(graph), attachment(words), () => "f32")],
};

/** Passes whose result computes what the graph does. */
const sameNumbers: readonly string[] = ["associate", "partition"];

describe.each(Object.entries(runs))("%s", (pass, run) => {
  it.each(passFiles(pass))("$name", (file) => {
    const [name, ...words] = /^\/\/ RUN: (.*)$/m.exec(file.text)![1]!.split(" ");
    expect(name).toBe(pass);
    expect(file.holds.length).toBeGreaterThan(0);
    const graph = parseGraph(file.text, file.name);
    const made = run(graph, words);
    for (const one of made) {
      verify(one, ["attach", "merge"].includes(pass) ? "operator" : "tensor");
      expect(printGraph(parseGraph(printGraph(one)))).toBe(printGraph(one));
    }
    expect(failedChecks(file, ...made)).toEqual([]);
    if (!sameNumbers.includes(pass)) return;
    for (const seed of [1, 2]) expect(numericDifference(graph, made[0]!, seed)).toBeLessThan(1e-11);
  });
});

describe("the checks of a text", () => {
  it("fail for another pass", () => {
    const [file] = passFiles("attach").filter(({ name }) => name === "linear.ir");
    const graph = parseGraph(file!.text, file!.name);
    expect(failedChecks(file!, ...runs.attach!(graph, []))).not.toEqual([]);
    expect(failedChecks(file!, ...runs.attach!(graph, ["q"]))).toEqual([]);
  });
});
