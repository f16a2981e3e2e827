/** Random tensor-level graphs for differential tests: every step takes values made before and applies one op that fits. */
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { sizeOf } from "../../src/ir/types.ts";
import { generator, randomData } from "./executor-samples.ts";

export interface RandomGraph {
  readonly graph: Graph;
  readonly inputs: Record<string, Float32Array>;
}

type Step = (
  k: Builder,
  pick: (fits: (id: number) => boolean) => number | undefined,
  choose: (n: number) => number,
) => number | undefined;

const range = (n: number): number[] => Array.from({ length: n }, (_unused, i) => i);
const hasRank =
  (k: Builder, least: number) =>
  (id: number): boolean =>
    k.shape(id).length >= least;

/** Bounded functions only, so that values stay near 1 and comparisons of floats stay meaningful. */
const unary = ["tanh", "sin", "cos", "sigmoid", "neg", "abs", "stop_gradient"];

const steps: readonly Step[] = [
  (k, pick, choose) => k.add(unary[choose(unary.length)]!, [pick(() => true)!]),
  (k, pick, choose) => {
    const a = pick(() => true)!;
    const b = pick((id) => `${k.shape(id)}` === `${k.shape(a)}`)!;
    return k.add(["add", "sub", "mul", "maximum", "minimum"][choose(5)]!, [a, b]);
  },
  (k, pick) => {
    const a = pick(() => true)!;
    const b = pick((id) => `${k.shape(id)}` === `${k.shape(a)}`)!;
    return k.select(k.add("not", [k.compare("lt", a, b)]), b, k.scale(a, 0.5));
  },
  (k, pick, choose) => {
    const a = pick((id) => hasRank(k, 1)(id) && k.shape(id).length < 5)!;
    const at = choose(k.shape(a).length + 1);
    const shape = [...k.shape(a).slice(0, at), 1 + choose(3), ...k.shape(a).slice(at)];
    return k.broadcast(
      a,
      shape,
      range(shape.length).filter((axis) => axis !== at),
    );
  },
  (k, pick, choose) => {
    const a = pick(hasRank(k, 2));
    if (a === undefined) return undefined;
    const shift = 1 + choose(k.shape(a).length - 1);
    return k.transpose(
      a,
      range(k.shape(a).length).map((axis) => (axis + shift) % k.shape(a).length),
    );
  },
  (k, pick, choose) => {
    const a = pick((id) => hasRank(k, 1)(id) && sizeOf(k.shape(id)) > 1)!;
    const limit = k.shape(a).map((n) => n - choose(n > 1 ? 2 : 1));
    return k.slice(
      a,
      limit.map((n) => choose(n > 1 ? 2 : 1)),
      limit,
    );
  },
  (k, pick, choose) => {
    const a = pick((id) => sizeOf(k.shape(id)) < 200)!;
    return k.add("pad", [a], { low: k.shape(a).map(() => choose(2)), high: k.shape(a).map(() => choose(2)) });
  },
  (k, pick, choose) => {
    const a = pick((id) => hasRank(k, 1)(id) && sizeOf(k.shape(id)) < 200)!;
    return k.concat([a, k.add("tanh", [a]), a], choose(k.shape(a).length));
  },
  (k, pick, choose) => {
    const a = pick(hasRank(k, 1))!;
    const axis = choose(k.shape(a).length);
    return choose(2) === 0 ? k.scale(k.sum(a, [axis]), 1 / k.shape(a)[axis]!) : k.max(a, [axis]);
  },
  (k, pick) => {
    const a = pick((id) => k.shape(id).length >= 1 && k.shape(id).length <= 4 && sizeOf(k.shape(id)) < 300)!;
    const letters = "abcd".slice(0, k.shape(a).length);
    const b = pick((id) => k.shape(id).length === letters.length && k.shape(id).at(-1) === k.shape(a).at(-1))!;
    const other = `${"uvw".slice(0, letters.length - 1)}${letters.at(-1)}`;
    const out = `${letters.slice(0, -1)}${other.slice(0, -1)}`;
    return out.length > 6 ? undefined : k.scale(k.einsum(`${letters},${other}->${out}`, a, b), 1 / k.shape(a).at(-1)!);
  },
  (k, pick) => {
    const a = pick(hasRank(k, 2));
    if (a === undefined) return undefined;
    const rows = k.shape(a)[0]!;
    const index = k.add("mod", [k.plus(k.iota([5], 0), k.constant(1, [5], "i32")), k.constant(rows, [5], "i32")]);
    return k.add("scatter_add", [index, k.add("gather", [a, index])], { rows: rows + 1 });
  },
  (k, pick) => {
    const a = pick(() => true)!;
    return k.reshape(a, [sizeOf(k.shape(a))]);
  },
];

/** A graph of about `length` steps over three ports, and data for the ports. The same seed gives the same graph. */
export function randomGraph(seed: number, length = 12): RandomGraph {
  const random = generator(seed);
  const choose = (n: number): number => Math.floor(random() * n);
  const k = new Builder(`random ${seed}`);
  const shapes = [[3, 4], [2, 3, 4], [4]];
  const values = shapes.map((shape, i) => k.port(`x${i}`, "input", "f32", shape));
  const inputs = Object.fromEntries(values.map((id, i) => [`x${i}`, randomData(k.tensorType(id), [-1, 1], random)]));
  for (let i = 0; i < length; i++) {
    const pick = (fits: (id: number) => boolean): number | undefined => {
      const candidates = values.filter((id) => sizeOf(k.shape(id)) < 3000 && fits(id));
      return candidates[choose(candidates.length)];
    };
    const made = steps[choose(steps.length)]!(k, pick, choose);
    if (made !== undefined) values.push(made);
  }
  const outputs = values.slice(-3).map((node, i) => ({ name: `y${i}`, node }));
  return { graph: k.finish(outputs), inputs };
}
