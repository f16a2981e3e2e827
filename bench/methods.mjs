// npm run bench:methods [-- rounds names]: a training step of every method of methods.json, as a ratio to LoRA's in the same round.
// All methods take turns in one process, so that other work on the machine slows all alike. Beside the wall time it counts the processor time
// of all threads but the main one (Linux): the driver's workers, which other processes cannot lengthen by taking their turn.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const [rounds = "15", names = ""] = process.argv.slice(2);
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Nanoseconds that the worker threads have run; undefined where the system does not tell. */
function workerTime() {
  const tasks = "/proc/self/task";
  if (!existsSync(tasks)) return undefined;
  return readdirSync(tasks)
    .filter((id) => Number(id) !== process.pid)
    .reduce((sum, id) => {
      try {
        return sum + Number(readFileSync(join(tasks, id, "schedstat"), "utf8").split(" ")[0]);
      } catch {
        return sum; // the thread has ended
      }
    }, 0);
}

spawnSync(process.execPath, [join("..", "node_modules", "tsdown", "dist", "run.mjs"), "--config", "tsdown.config.ts"]);
const { isBuilt, load, prepare } = await import("./results/webpeft/methods.js");
const wanted = names === "" ? [] : names.split(",");
const all = JSON.parse(readFileSync("methods.json", "utf8")).filter(isBuilt);
const entries = all.filter(
  ({ name }, i) => i === 0 || wanted.length === 0 || wanted.some((part) => name.includes(part)),
);
const device = await load({ driver: process.env.BENCH_DRIVER });

const runs = [];
for (const entry of entries) {
  const made = await prepare(device, entry);
  for (let i = 0; i < 2; i++) await made.step(); // kernels are compiled by their first run
  runs.push({ entry, made, ms: [], cpu: [] });
  console.error(`${entry.name} ready`);
}
for (let round = 0; round < Number(rounds); round++) {
  for (const { made, ms, cpu } of runs) {
    const [from, worked] = [performance.now(), workerTime()];
    await made.step();
    ms.push(performance.now() - from);
    if (worked !== undefined) cpu.push((workerTime() - worked) / 1e6);
  }
}

const lora = runs[0];
/** The median over the rounds of the quotients within a round. */
const ratio = (own, first) => (own.length === 0 ? undefined : median(own.map((x, i) => x / first[i])));
const number = (x, digits) => (x === undefined ? "" : x.toFixed(digits));
console.log("| method | ms | ratio | processor ms | ratio | at most | dispatches | Mflop | MB bound | peak MB |");
console.log("|---|---|---|---|---|---|---|---|---|---|");
const rows = runs.map(({ entry, made, ms, cpu }) => {
  const { dispatches, megaflops, megabytes, peakMB, kernels } = made.facts;
  const [wall, work] = [ratio(ms, lora.ms), ratio(cpu, lora.cpu)];
  const cells = [
    number(median(ms), 1),
    number(wall, 2),
    number(median(cpu), 1),
    number(work, 2),
    entry.limit ?? "none",
  ];
  const facts = [dispatches, number(megaflops, 0), number(megabytes, 0), number(peakMB, 1)];
  console.log(`| ${[entry.name, ...cells, ...facts].join(" | ")} |`);
  return { name: entry.name, limit: entry.limit, wall, work, ms, cpu, dispatches, megaflops, megabytes, kernels };
});
writeFileSync("results/methods.json", JSON.stringify(rows, null, 1));
console.log(`\n${device.description}; medians of ${rounds} rounds.`);
process.exit(0);
