/** One product with every tile that a GPU's target can have, against the one that codegen takes. */
import { generate, type Target, type Tuning, targetOf } from "../../src/codegen/index.ts";
import { Builder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { noStorage } from "../runtime/executor-samples.ts";
import type { Row } from "./check.ts";

type Sizes = readonly [m: number, k: number, n: number];

const sizes: readonly Sizes[] = [
  [512, 512, 512],
  [128, 512, 512],
  [2048, 2048, 2048],
  [1024, 896, 4864],
];

/** What differs from the target of the device. */
const variants: Readonly<Record<string, { readonly tiles?: Target["tiles"]; readonly tuning?: Partial<Tuning> }>> = {
  "as generated": {},
  "registers, 64": { tiles: "registers", tuning: { largestTile: 64 } },
  "registers, 32": { tiles: "registers", tuning: { largestTile: 32 } },
  "registers, 16": { tiles: "registers", tuning: { largestTile: 16 } },
  workgroups: { tiles: "workgroups" },
};

function product([m, k, n]: Sizes): Graph {
  const builder = new Builder("product");
  const a = builder.port("a", "weight", "f32", [m, k]);
  const b = builder.port("b", "weight", "f32", [k, n]);
  return builder.finish([{ name: "c", node: builder.einsum("mk,kn->mn", a, b) }]);
}

const wave = (count: number, factor: number): Float32Array =>
  Float32Array.from({ length: count }, (_unused, i) => ((i * factor) % 251) / 251 - 0.5);

interface Measured {
  readonly gigaflops: number;
  readonly gap: number;
}

/** Runs the product for a while; places of the result are compared with f64. */
async function measure(open: OpenDevice, target: Target, [m, k, n]: Sizes, repeats: number): Promise<Measured> {
  const graph = product([m, k, n]);
  const [a, b] = [wave(m * k, 37), wave(k * n, 91)];
  let nanoseconds: number[] = [];
  const generated = generate([{ name: "forward", graph }], noStorage, target);
  const instance = await webgpuExecutor(open, { target }).instantiate(
    { stages: [{ name: "forward", graph }], storage: noStorage },
    new Map([
      ["a", a],
      ["b", b],
    ]),
    {
      generated: () => generated,
      onKernels: (times) => void nanoseconds.push(times.reduce((sum, t) => sum + t.nanoseconds, 0)),
    },
  );
  try {
    const { c } = await instance.run(["forward"], {}, ["c"]);
    let gap = 0;
    for (let place = 0; place < 500; place++) {
      const [row, column] = [(place * 7919) % m, (place * 104729) % n];
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a[row * k + i]! * b[i * n + column]!;
      gap = Math.max(gap, Math.abs(sum - c![row * n + column]!));
    }
    nanoseconds = [];
    const wall: number[] = [];
    for (let i = 0; i < repeats; i++) {
      const begin = performance.now();
      await instance.run(["forward"], {}, ["c"]);
      wall.push(1e6 * (performance.now() - begin));
    }
    // Without timestamps the clock has to do, which counts the submit and the way back too.
    const times = (nanoseconds.length > 0 ? nanoseconds : wall).sort((x, y) => x - y);
    return { gigaflops: (2 * m * k * n) / times[times.length >> 1]!, gap };
  } finally {
    instance.dispose();
  }
}

export async function compareTiles(open: OpenDevice, every: number, until: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const size of sizes.slice(0, Math.ceil(sizes.length / every))) {
    if (performance.now() > until) break;
    const results: string[] = [];
    let isRight = true;
    for (const [name, { tuning = {}, ...more }] of Object.entries(variants)) {
      const own = targetOf(open.target);
      const target = { ...own, ...more, tuning: { ...own.tuning, ...tuning } };
      const { gigaflops, gap } = await measure(open, target, size, Math.ceil(20 / every));
      isRight &&= gap < 1e-6 * size[1] ** 1.5;
      results.push(`${name} ${gigaflops.toFixed(0)}`);
    }
    rows.push({ what: `product ${size.join(" x ")}, GFLOP/s`, result: results.join(", "), isRight });
  }
  return rows;
}
