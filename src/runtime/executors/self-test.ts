/**
 * One small training step with known numbers, before the first session of a process on an executor: a driver or an engine that computes wrongly
 * is told from a model that does not learn. Its kernels are one of every kind: tiles of contractions on weights of 16 bits, rows, pointwise
 * functions, lookups and their gradients, and the optimizer.
 */
import { Builder } from "../../ir/builder.ts";
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { Graph } from "../../ir/graph.ts";
import { feed } from "../../ir/run-inputs.ts";
import { differentiate } from "../../passes/differentiate.ts";
import { biasCorrections, statusFields, updateGraph } from "../../passes/optimizer.ts";
import { layoutStorage } from "../../passes/storage.ts";
import type { ExecutableProgram } from "../../program/index.ts";
import { fromFloat32 } from "../files/tensor.ts";
import type { Executor, PortTensor } from "./executor.ts";

/** Few enough parameters that the optimizer's sums are one kernel each. */
const [tokens, width, out, vocabulary] = [48, 32, 24, 8];

/** By f64 evaluation (`test/runtime/self-test.test.ts`): the loss, the gradient's norm, and checksums of the gradient and of the parameters. */
export const expectedNumbers = { loss: 9.0950088, norm: 2.5624632, gradient: 1.1702049, parameters: -1.0516409 };

export type SelfTestNumbers = typeof expectedNumbers;

/** What f32 and a device's own sines may be off by, relative to a number or to 1. */
const tolerance = 1e-3;

/** Numbers between -0.5 and 0.5 without a pattern that a wrong index would keep. */
const wave = (count: number, factor: number): Float32Array =>
  Float32Array.from({ length: count }, (_unused, i) => ((i * factor) % 251) / 251 - 0.5);

function microGraph(): Graph {
  const k = new Builder("self-test");
  const ids = k.port("ids", "input", "i32", [tokens]);
  const table = k.cast(k.port("table", "weight", "bf16", [vocabulary, width]), "f32");
  const weight = k.cast(k.port("weight", "weight", "f16", [out, width]), "f32");
  const [change, rows] = [
    k.port("change", "param", "f32", [out, width]),
    k.port("rows", "param", "f32", [vocabulary, width]),
  ];
  const x = k.plus(k.add("gather", [table, ids]), k.add("gather", [rows, ids]));
  const h = k.plus(k.einsum("tk,nk->tn", x, weight), k.einsum("tk,nk->tn", x, change));
  const along = (id: number): number => k.broadcast(id, [tokens, out], [0]);
  const still = k.add("stop_gradient", [h]);
  const functions = ["sin", "cos", "tanh", "erf", "sigmoid"].map((name) => k.add(name, [still]));
  const factors = functions.reduce((a, b) => k.plus(a, b));
  const e = k.add("exp", [k.sub(h, along(k.max(still, [1])))]);
  const terms = k.add("log", [k.sum(k.mul(e, factors), [1])]);
  const loss = k.scale(k.sum(k.mul(terms, terms), [0]), 1 / tokens);
  return differentiate(k.finish([{ name: "loss", node: loss }]));
}

export function selfTestProgram(): ExecutableProgram {
  const params = [
    { key: "change", size: out * width },
    { key: "rows", size: vocabulary * width },
  ];
  const storage = layoutStorage(params, [], { train: true });
  const { size } = storage.buffers.find(({ name }) => name === "params")!;
  const stages = [
    { name: "micro", graph: microGraph() },
    // With torch's epsilon a step is the sign of a gradient, however small: rounding would show.
    { name: "update", graph: updateGraph(size, { epsilon: 1e-3 }) },
  ] as const;
  return { stages, storage };
}

function selfTestData(): Map<string, PortTensor> {
  return new Map<string, PortTensor>([
    ["table", fromFloat32(wave(vocabulary * width, 37), "BF16", [vocabulary, width])],
    ["weight", fromFloat32(wave(out * width, 91), "F16", [out, width])],
    ["change", wave(out * width, 53)],
    ["rows", wave(vocabulary * width, 17)],
  ]);
}

const checksum = (numbers: ArrayLike<number>): number =>
  wave(numbers.length, 71).reduce((sum, factor, i) => sum + factor * numbers[i]!, 0);

/** The numbers of the step on an executor. */
export async function selfTestNumbers(executor: Executor): Promise<SelfTestNumbers> {
  const instance = await executor.instantiate(selfTestProgram(), selfTestData());
  try {
    const ids = Int32Array.from({ length: tokens }, (_unused, i) => (i * 7) % vocabulary);
    const scalars = feed({ lr: 0.05, ...biasCorrections(0), weight_decay: 0.01, max_norm: 1 });
    const { status, params } = await instance.run(["micro", "update"], { ids, ...scalars }, ["status", "params"]);
    return {
      loss: status![statusFields.loss]!,
      norm: status![statusFields.gradNorm]!,
      gradient: checksum(await instance.read("grads")),
      parameters: checksum(params!),
    };
  } finally {
    instance.dispose();
  }
}

const tested = new Map<string, Promise<void>>();

/**
 * Runs the step once a process for executors of one description that ask for it (`Executor.testsItself`). Throws `DEVICE-SELF-TEST` when a number
 * is not the known one.
 */
export async function selfTest(executor: Executor): Promise<void> {
  if (executor.testsItself !== true) return;
  const { description } = executor;
  const test = tested.get(description) ?? compare(executor);
  tested.set(description, test);
  // What may be otherwise the next time, as memory may, is asked again.
  return test.catch((error: unknown) => {
    if (isKnown(error)) tested.delete(description);
    throw error;
  });
}

/** What a caller can do something about stays as it is. */
const isKnown = (error: unknown): boolean =>
  error instanceof WebpeftError && !["DEVICE-VALIDATION", "DEVICE-SELF-TEST"].includes(error.code);

async function compare(executor: Executor): Promise<void> {
  const got = await selfTestNumbers(executor).catch((error: unknown) => {
    if (isKnown(error)) throw error;
    throw wrong(executor, error instanceof WebpeftError ? (error.got ?? error.message) : String(error), error);
  });
  const names = Object.keys(expectedNumbers) as (keyof SelfTestNumbers)[];
  const isRight = (name: keyof SelfTestNumbers): boolean =>
    Math.abs(got[name] - expectedNumbers[name]) <= tolerance * Math.max(1, Math.abs(expectedNumbers[name]));
  if (names.every(isRight)) return;
  throw wrong(executor, text(got));
}

const text = (numbers: SelfTestNumbers): string =>
  Object.entries(numbers)
    .map(([name, number]) => `${name} ${number.toFixed(5)}`)
    .join(", ");

const wrong = ({ description }: Executor, got: string, cause?: unknown): WebpeftError =>
  new WebpeftError(
    "DEVICE-SELF-TEST",
    {
      message: "the device gets a known training step wrong, so that nothing that it computes can be relied on",
      where: description,
      expected: `${text(expectedNumbers)}, within ${tolerance}`,
      got,
      help: "update the driver or the browser, take another device, and report it with what `webpeft doctor` says",
    },
    { cause },
  );
