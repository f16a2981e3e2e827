/**
 * What a device reaches, measured by two programs of one kernel: a product of square matrices, and a scaled vector. Sizes grow until a run takes
 * long enough for the clock.
 */
import { Builder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Peak } from "../../program/measurement.ts";
import type { Executor, KernelTime } from "./executor.ts";

/** Milliseconds from which a run is long enough. */
const longEnough = 5;

/** Runs at each size; the fastest counts, since nothing makes a device faster than it is. */
const runs = 8;

const sides = [256, 512, 1024, 2048, 4096];
/** The largest are 64 MiB, which is more than caches hold and less than every binding may be. */
const counts = [2 ** 20, 2 ** 22, 2 ** 24];

function product(side: number): Graph {
  const k = new Builder("product");
  const [a, b] = [k.port("a", "weight", "f32", [side, side]), k.port("b", "weight", "f32", [side, side])];
  return k.finish([{ name: "y", node: k.einsum("mk,nk->mn", a, b) }]);
}

function scaled(count: number): Graph {
  const k = new Builder("scaled");
  return k.finish([{ name: "y", node: k.scale(k.port("a", "weight", "f32", [count / 64, 64]), 0.5) }]);
}

/** The fastest run of the graph: what it does, and seconds. */
async function fastest(executor: Executor, graph: Graph, numbers: number) {
  let last: readonly KernelTime[] = [];
  const data = new Float32Array(numbers).fill(0.5);
  const storage = {
    buffers: [{ name: "result", size: numbers }],
    bindings: { y: { buffer: "result", offset: 0, size: numbers } },
  };
  const instance = await executor.instantiate(
    { stages: [{ name: "forward", graph }], storage },
    new Map([
      ["a", data],
      ["b", data],
    ]),
    {
      onKernels: (times) => {
        last = times;
      },
      measures: () => "all",
    },
  );
  let best = { seconds: Number.POSITIVE_INFINITY, flops: 0, bytes: 0 };
  try {
    for (let run = 0; run < runs; run++) {
      await instance.run(["forward"], {});
      const total = (of: (time: KernelTime) => number): number => last.reduce((sum, time) => sum + of(time), 0);
      const seconds = total(({ nanoseconds }) => nanoseconds) / 1e9;
      if (seconds > 0 && seconds < best.seconds)
        best = {
          seconds,
          flops: total(({ dispatch }) => dispatch.flops),
          bytes: total(({ dispatch }) => dispatch.bytes),
        };
    }
  } finally {
    instance.dispose();
  }
  return best;
}

/** The best rate among growing sizes. */
async function best(
  executor: Executor,
  sizes: readonly number[],
  graphOf: (size: number) => readonly [Graph, numbers: number],
  of: "flops" | "bytes",
): Promise<{ readonly size: number; readonly rate: number }> {
  let found = { size: sizes[0]!, rate: 0 };
  for (const size of sizes) {
    const run = await fastest(executor, ...graphOf(size));
    if (run[of] / run.seconds > found.rate) found = { size, rate: run[of] / run.seconds };
    if (1e3 * run.seconds > longEnough) break;
  }
  return found;
}

export async function peakOf(executor: Executor): Promise<Peak> {
  const flops = await best(executor, sides, (side) => [product(side), side * side], "flops");
  const bytes = await best(executor, counts, (count) => [scaled(count), count], "bytes");
  return {
    flopsPerSecond: flops.rate,
    bytesPerSecond: bytes.rate,
    probe: `the best of some runs of a product of ${flops.size} × ${flops.size} matrices, and of a vector of ${bytes.size / 2 ** 18} MiB that is scaled, both f32`,
  };
}
