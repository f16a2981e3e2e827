/**
 * What can only be seen on a real GPU, as one table: the golden cases, the workloads of the benchmark, and tiles against each other. Packed and
 * started by `scripts/gpu-check.sh`. `GPU_CHECK_MINUTES`: when to stop (7); `GPU_CHECK_PART`: every n-th golden case, fewer sizes (1: all).
 */
import { cfg, inputs as inputsOf } from "../../bench/data.mjs";
import { reference } from "../../bench/reference.mjs";
import { type Engine, engineOf, workloads } from "../../bench/webpeft.ts";
import { targetOf } from "../../src/codegen/index.ts";
import { type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";
import { selfTestNumbers } from "../../src/runtime/executors/self-test.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { caseNames, loadCase } from "../golden/helpers.ts";
import { runCase } from "../golden/run.ts";
import { compareTiles } from "./tiles.ts";

const every = Number(process.env.GPU_CHECK_PART ?? 1);
const end = performance.now() + 60_000 * Number(process.env.GPU_CHECK_MINUTES ?? 7);

/** Whether a part that may use this share of what is left has time. */
const deadline = (share: number): number => performance.now() + share * (end - performance.now());

export interface Row {
  readonly what: string;
  readonly result: string;
  readonly isRight: boolean;
}

const rows: Row[] = [];
const tell = (what: string, result: string, isRight = true): void => {
  rows.push({ what, result, isRight });
  console.error(`${isRight ? "" : "WRONG "}${what}: ${result}`);
};

const largest = (values: ArrayLike<number>): number =>
  Array.prototype.reduce.call(values, (most, x) => Math.max(most as number, Math.abs(x as number)), 0) as number;

async function goldenCases(open: OpenDevice): Promise<void> {
  const executor = webgpuExecutor(open);
  const names = caseNames(/./).filter((_name, i) => i % every === 0);
  const until = deadline(0.6);
  const [begin, wrong]: [number, string[]] = [performance.now(), []];
  let done = 0;
  for (const name of names) {
    if (performance.now() > until) break;
    done++;
    try {
      const { deviations } = await runCase(await loadCase(name), executor, targetOf(open.target));
      const off = [...deviations].filter(([, by]) => !(by <= 1)).map(([key, by]) => `${key} by ${by.toFixed(1)}`);
      if (off.length > 0) wrong.push(`${name}: ${off.slice(0, 3).join(", ")}`);
    } catch (error) {
      wrong.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  const left = names.length - done;
  tell(
    "golden cases",
    `${done - wrong.length} of ${done} right${left > 0 ? `, ${left} not reached` : ""}, ${executor.pipelines.size} pipelines, ${seconds} s`,
    wrong.length === 0,
  );
  for (const line of wrong) tell("  golden case", line, false);
}

async function benchmark(engine: Engine): Promise<void> {
  for (const name of ["W1", "W2n", "W2s", "W3", "W4"] as const) {
    const constants = (cfg[name] ?? cfg[name.slice(0, 2)])!;
    const inputs = inputsOf(name);
    const work = await workloads[name](engine, inputs, constants);
    const begin = performance.now();
    const step = async (): Promise<number> => {
      const from = performance.now();
      work.step();
      await work.sync();
      return performance.now() - from;
    };
    await step();
    const first = performance.now() - begin;
    const outputs = await work.outputs();
    const times: number[] = [];
    for (let i = 0; i < Math.ceil(20 / every); i++) times.push(await step());
    const exact: Record<string, Float64Array> | null = reference(name, inputs, constants);
    const gaps = Object.entries(exact ?? {}).map(
      ([key, values]) => largest(values.map((x, i) => x - outputs[key]![i]!)) / largest(values),
    );
    const ms = times.sort((a, b) => a - b)[times.length >> 1]!;
    const gap = exact === null ? "" : `, off by ${Math.max(...gaps).toExponential(1)} of the largest number`;
    const isRight =
      Object.values(outputs).every((values) => values.every(Number.isFinite)) && gaps.every((x) => x < 1e-4);
    tell(name, `${ms.toFixed(2)} ms a step, the first ${first.toFixed(0)} ms${gap}`, isRight);
  }
}

async function main(): Promise<void> {
  const open = await openDevice({ prefer: "webgpu" });
  const { description, vendor, architecture, backend, software } = open.adapter;
  tell("adapter", [description, vendor, architecture, backend, software ? "software" : "hardware"].join(", "));
  const { features, subgroupMinSize, subgroupMaxSize } = open.target;
  tell("features", `${features.join(", ")}; subgroups of ${subgroupMinSize} to ${subgroupMaxSize}`);
  const begin = performance.now();
  const numbers = await selfTestNumbers(webgpuExecutor(open));
  tell("self-test", `${JSON.stringify(numbers)} in ${(performance.now() - begin).toFixed(0)} ms`);
  await benchmark(engineOf(open));
  for (const { what, result, isRight } of await compareTiles(open, every, deadline(0.35))) tell(what, result, isRight);
  await goldenCases(open);
  const failure = open.failure();
  tell("device", failure === undefined ? "no failure" : failure.message, failure === undefined);
  open.dispose();
}

await main().catch((error: unknown) =>
  tell("check", error instanceof Error ? (error.stack ?? error.message) : String(error), false),
);
console.log(
  `\n| | |\n|---|---|\n${rows.map(({ what, result, isRight }) => `| ${isRight ? "" : "**wrong** "}${what} | ${result} |`).join("\n")}`,
);
process.exit(rows.every(({ isRight }) => isRight) ? 0 : 1);
