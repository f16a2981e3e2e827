// npm run bench:cpu [-- rounds workloads]: what the processor does without a GPU. Every peer is a process of its own; they take turns, round after round,
// so that other work on the machine slows all alike. Medians over the rounds; the last columns are the ratios to the first row.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cfg, inputs } from "./data.mjs";
import { reference } from "./reference.mjs";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const [rounds = "5", list = "M512,M128,W1,W2n,W2s,W3,W4,start"] = process.argv.slice(2);

/** Peers by the kind of workload, and what each is. */
const products = ["webpeft-wasm-1", "tfjs-wasm", "jax-wasm", "ort-wasm"];
const steps = ["webpeft-wasm", "webpeft-wasm-1", "webpeft-tfjs", "jax-wasm", "webpeft"];
const titles = {
  "webpeft-wasm": "webpeft, WebAssembly",
  "webpeft-wasm-1": "webpeft, WebAssembly, one thread",
  "webpeft-tfjs": "webpeft, TensorFlow.js (wasm)",
  webpeft: "webpeft, WebGPU on",
  "tfjs-wasm": "TensorFlow.js (wasm)",
  "jax-wasm": "jax-js (wasm)",
  "ort-wasm": "ONNX Runtime Web (wasm)",
};

const run = (file, args) =>
  spawnSync(file, args, { encoding: "utf8", timeout: 300_000, maxBuffer: 1 << 28, env: process.env });
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const largest = (values) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** The largest difference of an output, relative to the output. */
const difference = (a, b) =>
  Object.keys(b).reduce(
    (most, name) => Math.max(most, largest(b[name].map((x, i) => x - a[name][i])) / (largest(b[name]) || 1)),
    0,
  );

// The build tool makes a folder of this name too.
if (!existsSync(join("node_modules", ".package-lock.json"))) run("npm", ["ci", "--ignore-scripts"]);
mkdirSync("results", { recursive: true });
run(process.execPath, [join("..", "node_modules", "tsdown", "dist", "run.mjs"), "--config", "tsdown.config.ts"]);

function once(peer, workload) {
  const file = join("results", `${workload}-${peer}.json`);
  const turns = workload.startsWith("M") ? "60" : "10";
  const { stdout, stderr } = run(process.execPath, ["one.mjs", peer, workload, turns, file]);
  const line = stdout?.split("\n").find((text) => text.startsWith('{"peer"'));
  if (line === undefined) return { failed: (stderr?.match(/\w*Error.*/)?.[0] ?? "no output").slice(0, 90) };
  const record = JSON.parse(line);
  return record.unsupported
    ? { failed: "not expressible" }
    : { ...record, outputs: JSON.parse(readFileSync(file, "utf8")) };
}

function rowsOf(workload) {
  const peers = workload.startsWith("M") ? products : steps;
  const records = new Map(peers.map((peer) => [peer, []]));
  for (let round = 0; round < Number(rounds); round++) {
    for (const peer of peers) {
      const before = records.get(peer);
      if (before[0]?.failed === undefined) before.push(once(peer, workload));
    }
  }
  return records;
}

/** GFLOP of a product, else nothing. */
const work = ({ m, k, n }) => (m === undefined ? undefined : (2 * m * k * n) / 1e9);

const all = [];
for (const workload of list.split(",").filter((name) => name !== "start")) {
  const constants = cfg[workload] ?? cfg[workload.slice(0, 2)];
  const exact = reference(workload, inputs(workload), constants);
  let want = exact && Object.fromEntries(Object.entries(exact).map(([name, values]) => [name, Array.from(values)]));
  const [head, rule] = [
    "| | ms | processor ms | GFLOP per processor second | first ms | ",
    "|---|---|---|---|---|---|---|---|",
  ];
  console.log(`\n### ${workload}\n\n${head}largest difference | time | processor time |\n${rule}`);
  let first;
  for (const [peer, records] of rowsOf(workload)) {
    const title = peer === "webpeft" ? `${titles[peer]} ${records[0].adapter ?? "a driver"}` : titles[peer];
    if (records[0].failed !== undefined) {
      console.log(`| ${title} | ${records[0].failed} | | | | | | |`);
      continue;
    }
    const [ms, processor, firstMs] = ["ms", "processorMs", "firstMs"].map((key) => median(records.map((r) => r[key])));
    want ??= records[0].outputs;
    first ??= { ms, processor };
    const flops = work(constants);
    const rate = flops === undefined ? "" : (flops / (processor / 1000)).toFixed(1);
    const gap = difference(records[0].outputs, want).toExponential(1);
    const ratios = [ms / first.ms, processor / first.processor].map((x) => x.toFixed(2)).join(" | ");
    console.log(
      `| ${title} | ${ms.toFixed(1)} | ${processor.toFixed(1)} | ${rate} | ${firstMs.toFixed(0)} | ${gap} | ${ratios} |`,
    );
    all.push({ workload, peer, ms, processor, firstMs });
  }
}

/** The example as a user starts it, with the processor time of all its threads. */
const atEnd =
  'process.on("exit", () => { const { user, system } = process.cpuUsage(); console.error("used " + (user + system) / 1e6); });';
if (list.includes("start")) {
  const begin = performance.now();
  const args = [
    "--import",
    `data:text/javascript,${encodeURIComponent(atEnd)}`,
    "../examples/start.mjs",
    "--device",
    "cpu",
  ];
  const { status, stderr } = run(process.execPath, args);
  const seconds = (performance.now() - begin) / 1000;
  const used = Number(/used ([\d.]+)/.exec(stderr)?.[1]);
  console.log(
    `\nnpm start: ${status === 0 ? "done" : "failed"} in ${seconds.toFixed(1)} s, ${used.toFixed(1)} of the processor`,
  );
}
writeFileSync("results/cpu.json", JSON.stringify(all, null, 1));
