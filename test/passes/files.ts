/** Pass tests as text: a graph in, and what its printed result must hold. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Graph, portName } from "../../src/ir/graph.ts";
import { printGraph } from "../../src/ir/text/print.ts";
import { openUniform, threefry } from "../../src/ir/threefry.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { evaluateOperators } from "../ir/operator-values.ts";

export interface PassFile {
  readonly name: string;
  readonly text: string;
  /** The rules that the file is about (`// RULE: name`). */
  readonly rules: readonly string[];
  /** Texts that the result holds, one behind the other (`// CHECK: text`). */
  readonly holds: readonly string[];
  /** Texts that it nowhere holds (`// CHECK-NOT: text`). */
  readonly lacks: readonly string[];
}

export function passFiles(folder: string): PassFile[] {
  const path = fileURLToPath(new URL(folder, import.meta.url));
  return readdirSync(path)
    .sort()
    .map((name) => {
      const text = readFileSync(`${path}/${name}`, "utf8");
      const all = (key: string): string[] =>
        [...text.matchAll(new RegExp(`^// ${key}: (.*)$`, "gm"))].map((match) => match[1]!);
      return { name, text, rules: all("RULE"), holds: all("CHECK"), lacks: all("CHECK-NOT") };
    });
}

const bodyOf = (text: string): string => text.slice(text.indexOf(") {"));

/** The checks that graphs fail, one behind the other; their headers, which only name ports, are not looked at. */
export function failedChecks({ holds, lacks }: PassFile, ...graphs: readonly Graph[]): string[] {
  const body = graphs.map((graph) => bodyOf(printGraph(graph))).join("");
  const failed: string[] = [];
  let at = 0;
  for (const wanted of holds) {
    const found = body.indexOf(wanted, at);
    if (found < 0) failed.push(`CHECK: ${wanted}`);
    else at = found + wanted.length;
  }
  return [...failed, ...lacks.filter((unwanted) => body.includes(unwanted)).map((text) => `CHECK-NOT: ${text}`)];
}

/** Data for all ports: floats between -1 and 1, integers from 0 to 4. */
export function portData(graph: Graph, seed: number): Record<string, number[]> {
  const ports = graph.nodes.filter((node) => node.op === "port");
  const uniform = (port: number, i: number): number => openUniform(threefry(seed, port, i, 0)[0]);
  return Object.fromEntries(
    ports.map((node, port) => {
      const { shape, dtype } = node.type as TensorType;
      const one = (i: number): number =>
        dtype === "f32" ? 2 * uniform(port, i) - 1 : Math.floor(5 * uniform(port, i));
      return [portName(node), Array.from({ length: sizeOf(shape) }, (_unused, i) => one(i))];
    }),
  );
}

/** The gap of two numbers, relative to the larger when that is above 1; infinite for NaN. */
function gap(a: number, b: number): number {
  if (Object.is(a, b)) return 0;
  const relative = Math.abs(a - b) / Math.max(1, Math.abs(a), Math.abs(b));
  return Number.isNaN(relative) ? Number.POSITIVE_INFINITY : relative;
}

/** The largest gap of any output of two graphs for the same data; infinite when their outputs have other names or shapes. */
export function numericDifference(a: Graph, b: Graph, seed: number): number {
  const data = portData(a, seed);
  const [x, y] = [evaluateOperators(a, data), evaluateOperators(b, data)];
  if (Object.keys(x).join() !== Object.keys(y).join()) return Number.POSITIVE_INFINITY;
  const gaps = Object.entries(x).map(([name, left]) => {
    const right = y[name]!;
    if (`${left.shape}` !== `${right.shape}`) return Number.POSITIVE_INFINITY;
    return Array.from(left.data).reduce((most, value, i) => Math.max(most, gap(value, right.data[i]!)), 0);
  });
  return Math.max(...gaps);
}
