/** Random programs on tensors: graphs whose steps take values made before, with ports of all roles and dtypes, and data for them. */
import { Builder } from "../../../src/ir/builder.ts";
import { compact, type Graph } from "../../../src/ir/graph.ts";
import { type DType, sizeOf } from "../../../src/ir/types.ts";
import { differentiate } from "../../../src/passes/differentiate.ts";
import type { PortTensor } from "../../../src/runtime/executors/executor.ts";
import { fromFloat32, toFloat32 } from "../../../src/runtime/files/tensor.ts";
import { generator } from "../../runtime/executor-samples.ts";
import { gradientSteps, type Step, steps } from "./steps.ts";

export interface RandomProgram {
  readonly graph: Graph;
  /** The same before it was differentiated, where its outputs are gradients. */
  readonly forward: Graph | undefined;
  /** Numbers of every port, as 16 bits hold them where the port has no more. */
  readonly numbers: Readonly<Record<string, Float32Array>>;
  /** What an executor is given for weights, parameters and buffers. */
  readonly data: ReadonlyMap<string, PortTensor>;
}

/** What a step may look at and choose by. */
export interface Draw {
  readonly k: Builder;
  /** A whole number from 0 to n - 1. */
  choose(n: number): number;
  oneOf<T>(values: readonly T[]): T;
  /** A float value that fits, rather one of those made last. */
  pick(fits?: (shape: readonly number[]) => boolean): number | undefined;
  /** The same among values that no device rounds: what is not continuous takes these. */
  pickExact(fits?: (shape: readonly number[]) => boolean): number | undefined;
  /** Indices below `rows`: a port. */
  indices(count: number, rows: number): number;
}

/** On both sides of vectors, tiles and workgroups. */
const extents = [1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 63, 64, 65, 255, 257];

const mostElements = 20_000;
const largestPort = 6_000;

const roles = ["input", "weight", "param", "buffer"] as const;

/** A program of about `length` steps. The same numbers give the same program; a shorter one is the begin of a longer one. */
export function randomProgram(seed: number, length: number): RandomProgram {
  const random = generator(seed);
  // The low bits of neighbouring seeds are alike.
  for (let i = 0; i < 8; i++) random();
  const choose = (n: number): number => Math.floor(random() * n);
  const oneOf = <T>(values: readonly T[]): T => values[choose(values.length)]!;
  const k = new Builder(`program ${seed}`);
  const [values, exact]: [number[], Set<number>] = [[], new Set()];
  const numbers: Record<string, Float32Array> = {};
  const data = new Map<string, PortTensor>();

  const pickFrom = (among: readonly number[], fits: (shape: readonly number[]) => boolean): number | undefined => {
    const found = among.filter((id) => fits(k.shape(id)));
    const last = found.slice(-4);
    return found.length === 0 ? undefined : oneOf(choose(3) > 0 ? last : found);
  };
  const draw: Draw = {
    k,
    choose,
    oneOf,
    pick: (fits = () => true) => pickFrom(values, fits),
    pickExact: (fits = () => true) => pickFrom([...exact], fits),
    indices: (count, rows) => {
      const name = `index${Object.keys(numbers).length}`;
      numbers[name] = Float32Array.from({ length: count }, () => choose(rows));
      data.set(name, fromFloat32(numbers[name]!, "I32", [count]));
      return k.port(name, "buffer", "i32", [count]);
    },
  };

  const trains = choose(3) === 0;
  const own = Array.from({ length: 4 }, () => oneOf(extents));
  for (let i = 0; i < 4; i++) {
    const shape = fitting(Array.from({ length: [2, 1, 2, 3][i]! }, () => oneOf(own)));
    const role = trains && i < 2 ? "param" : oneOf(roles);
    const dtype: DType = role === "weight" ? oneOf(["f32", "bf16", "f16"]) : "f32";
    const name = `x${i}`;
    const drawn = Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1);
    const tensor = fromFloat32(drawn, dtype === "f32" ? "F32" : dtype === "bf16" ? "BF16" : "F16", shape);
    numbers[name] = toFloat32(tensor);
    if (role !== "input") data.set(name, tensor);
    const id = k.cast(k.port(name, role, dtype, shape), "f32");
    values.push(id);
    exact.add(id);
  }

  const possible: readonly Step[] = trains ? gradientSteps : steps;
  for (let i = 0; i < length; i++) {
    const { make, isExact } = oneOf(possible);
    const made = make(draw);
    if (made === undefined || sizeOf(k.shape(made)) > mostElements) continue;
    values.push(made);
    if (isExact === true) exact.add(made);
  }
  const forward = finish(k, values, trains);
  const graph = trains ? compact(differentiate(forward)) : forward;
  return { graph, forward: trains ? forward : undefined, numbers, data };
}

/** Halves the largest extent until the tensor is small enough. */
function fitting(shape: readonly number[]): readonly number[] {
  if (sizeOf(shape) <= largestPort) return shape;
  const largest = Math.max(...shape);
  const at = shape.indexOf(largest);
  return fitting(shape.with(at, Math.ceil(largest / 2)));
}

/** What no other value reads is an output: as it is, or by its mean in the loss whose gradients are wanted. */
function finish(k: Builder, values: readonly number[], trains: boolean): Graph {
  const read = new Set(Array.from({ length: k.size }, (_unused, id) => k.node(id).inputs).flat());
  const ends = values.filter((id, i) => !read.has(id) && i >= 4).slice(-5);
  const outputs = (ends.length === 0 ? values.slice(-1) : ends).map((node, i) => ({ name: `y${i}`, node }));
  if (!trains) return compact(k.finish(outputs));
  const means = outputs.map(({ node }) => {
    const flat = k.reshape(node, [sizeOf(k.shape(node))]);
    return k.scale(k.sum(k.mul(flat, flat), [0]), 1 / sizeOf(k.shape(node)));
  });
  const loss = means.reduce((a, b) => k.plus(a, b));
  return k.finish([...outputs.slice(0, 1), { name: "loss", node: loss }]);
}
