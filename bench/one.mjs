// node one.mjs <peer> <workload> [steps] [file for outputs]: one peer on one workload in a process of its own; prints JSON. Peers: webpeft, tfjs, jax on WebGPU;
// webpeft-wasm, webpeft-wasm-1 (one thread), webpeft-tfjs, tfjs-wasm, jax-wasm, ort-wasm on the processor.
import { writeFileSync } from "node:fs";
import { cfg, inputs } from "./data.mjs";
import { diff, live, opt, setupGpu, snapshot } from "./env.mjs";

const [peer, workload, steps = "15", file] = process.argv.slice(2);
const constants = cfg[workload] ?? cfg[workload.slice(0, 2)];
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function open() {
  const [name, engine = "webgpu", threads] = peer.split("-");
  if (name === "webpeft") {
    const module = await import("./results/webpeft/webpeft.js");
    const device = await module.load({ driver: opt.BENCH_DRIVER, engine, threads: threads && Number(threads) });
    return { module, device, adapter: device.description };
  }
  const adapter = engine === "webgpu" ? (await setupGpu()).description : engine;
  const module = await import(`./peer-${name}.mjs`);
  return { module, device: await module.load(engine), adapter };
}

const { module, device, adapter } = await open();
if (!module.workloads[workload]) {
  console.log(JSON.stringify({ peer, workload, unsupported: true }));
  process.exit(0);
}
const begin = performance.now();
const before = snapshot();
const work = await module.workloads[workload](device, inputs(workload), constants);
work.step();
await work.sync();
const first = performance.now() - begin;
const pipelines = diff(before, snapshot()).pipelines;
const outputs = await work.outputs();
for (let i = 0; i < 2; i++) {
  work.step();
  await work.sync();
}
const [times, host] = [[], []];
const start = snapshot();
const usage = process.cpuUsage();
for (let i = 0; i < Number(steps); i++) {
  const from = performance.now();
  work.step();
  host.push(performance.now() - from);
  await work.sync();
  times.push(performance.now() - from);
}
const { user, system } = process.cpuUsage(usage);
const counted = diff(start, snapshot());
const perStep = work.facts
  ? { dispatches: work.facts.dispatches, submits: 1, megabytesBound: work.facts.bytesBound / 1e6 }
  : {
      dispatches: counted.dispatches / Number(steps),
      submits: counted.submits / Number(steps),
      megabytesBound: counted.bytesBound / Number(steps) / 1e6,
    };
const record = {
  peer,
  workload,
  adapter,
  ms: median(times),
  min: Math.min(...times),
  max: Math.max(...times),
  processorMs: (user + system) / 1000 / Number(steps),
  hostMs: median(host),
  firstMs: first,
  ...perStep,
  pipelines: work.facts?.pipelines ?? pipelines,
  peakMB: work.facts?.peakMB ?? live.peak / 2 ** 20,
};
console.log(JSON.stringify(record));
if (file)
  writeFileSync(
    file,
    JSON.stringify(Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, Array.from(values)]))),
  );
process.exit(0);
