/** A program on a device or on the interpreter of kernel IR, against f64. */
import { cpuTarget, defaultTarget, generate, wasmTarget } from "../../../src/codegen/index.ts";
import { opRecord } from "../../../src/ir/registry.ts";
import { printGraph } from "../../../src/ir/text/print.ts";
import { sizeOf } from "../../../src/ir/types.ts";
import type { Executor } from "../../../src/runtime/executors/executor.ts";
import { Simulation } from "../../codegen/simulate.ts";
import { noStorage, programOf } from "../../runtime/executor-samples.ts";
import { type RandomProgram, randomProgram } from "./draw.ts";
import { expectedOf } from "./rounding.ts";

/** What computes a program: outputs by name. */
export interface Engine {
  readonly name: string;
  /** Error of its transcendental functions, for numbers near 1. */
  readonly functions: number;
  /** Most operations of a program that it is given. */
  readonly mostWork: number;
  /** Undefined: the program is none of its kind. */
  run(program: RandomProgram): Promise<Readonly<Record<string, ArrayLike<number>>> | undefined>;
}

export const onExecutor = (executor: Executor, functions: number): Engine => ({
  name: executor.name,
  functions,
  mostWork: Number.POSITIVE_INFINITY,
  run: async ({ graph, numbers, data }) => {
    const instance = await executor.instantiate(programOf({ forward: graph }), data);
    const names = graph.outputs.map(({ name }) => name);
    try {
      return await instance.run(["forward"], numbers, names);
    } finally {
      instance.dispose();
    }
  },
});

/** Kernels of a target by the interpreter: what a device or a printer does wrong is not seen here. */
const interpreted = (name: string, target: typeof cpuTarget): Engine => ({
  name: `interpreter, ${name}`,
  functions: 2 ** -20,
  mostWork: 100_000,
  run: async ({ graph, numbers }) =>
    new Simulation(generate([{ name: "forward", graph }], noStorage, target)).run("forward", numbers),
});

export const interpreters: readonly Engine[] = [
  interpreted("wasmTarget", wasmTarget),
  interpreted("cpuTarget", cpuTarget),
  interpreted("defaultTarget", defaultTarget),
];

const workOf = ({ graph }: RandomProgram): number =>
  graph.nodes.reduce((sum, { op, inputs, attributes, type }) => {
    const { flops } = opRecord(op).cost(
      inputs.map((i) => graph.nodes[i]!.type),
      attributes,
      type,
    );
    return sum + flops + (type.kind === "tensor" ? sizeOf(type.shape) : 0);
  }, 0);

/** Throws when a number of an output is further from f64 than rounding explains, with how to see it again. */
export async function compareProgram(seed: number, length: number, engine: Engine): Promise<void> {
  const program = randomProgram(seed, length);
  if (workOf(program) > engine.mostWork) return;
  const refuse = (why: string, cause?: unknown): Error =>
    new Error(
      `${engine.name}: ${why}\nAgain: await compareProgram(${seed}, ${length}, engine)\n${printGraph(program.graph)}`,
      { cause },
    );
  const got = await engine.run(program).catch((error: unknown) => {
    throw refuse(`throws ${error}`, error);
  });
  if (got === undefined) return;
  for (const [name, { value, bound }] of expectedOf(program.graph, program.numbers, engine.functions)) {
    const numbers = got[name]!;
    if (numbers.length !== value.data.length) throw refuse(`${name} has ${numbers.length} numbers`);
    const at = value.data.findIndex((x, i) => !(Math.abs(x - numbers[i]!) <= bound));
    if (at >= 0)
      throw refuse(`${name}[${at}] is ${numbers[at]} instead of ${value.data[at]}, which may be off by ${bound}`);
  }
}

/** Throws when two engines do not give the same bytes. */
export async function compareBytes(seed: number, length: number, engines: readonly [Engine, Engine]): Promise<void> {
  const program = randomProgram(seed, length);
  const [one, other] = await Promise.all(engines.map((engine) => engine.run(program)));
  for (const [name, numbers] of Object.entries(one!)) {
    const at = Array.from(numbers).findIndex((x, i) => !Object.is(x, other![name]![i]));
    if (at < 0) continue;
    const why = `${name}[${at}] is ${numbers[at]} and ${other![name]![at]}`;
    const again = `Again: await compareBytes(${seed}, ${length}, engines)`;
    throw new Error(`${why}\n${again}\n${printGraph(program.graph)}`);
  }
}
