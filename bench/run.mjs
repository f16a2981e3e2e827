// npm run bench [-- steps workloads]: webpeft, jax-js and tfjs on the same WebGPU adapter, the same inputs and the same process settings.
// The first run compiles kernels; run it twice for warm caches. BENCH_DRIVER=swiftshader takes the bundled driver for all of them.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cfg, inputs } from "./data.mjs";
import { reference } from "./reference.mjs";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const [steps = "15", list = "W1,W2n,W2s,W3,W4"] = process.argv.slice(2);
const peers = ["webpeft", "jax", "tfjs"];

function run(file, args, env = {}) {
  return spawnSync(file, args, {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 600_000,
    maxBuffer: 1 << 28,
  });
}

// The build tool makes a folder of this name too.
if (!existsSync(join("node_modules", ".package-lock.json"))) run("npm", ["ci", "--ignore-scripts"]);
mkdirSync("results", { recursive: true });
if (!existsSync("results/tfjs.bundle.mjs")) run(process.execPath, ["build.mjs"]);
run(process.execPath, [join("..", "node_modules", "tsdown", "dist", "run.mjs"), "--config", "tsdown.config.ts"]);

/** The peers load Dawn themselves: they find the bundled driver as the system's libvulkan. */
function driver() {
  if (process.env.BENCH_DRIVER !== "swiftshader") return {};
  const cache = process.env.WEBPEFT_CACHE ?? join(homedir(), ".cache", "webpeft");
  const found = run("find", [cache, "-name", "libvulkan.so.1"]).stdout.split("\n")[0];
  if (!found) throw new Error("start webpeft once with SwiftShader, so that the driver is unpacked");
  return { LD_LIBRARY_PATH: dirname(found) };
}

const largest = (values) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const difference = (a, b) =>
  Object.keys(b).reduce(
    (most, name) => Math.max(most, largest(b[name].map((x, i) => x - a[name][i])) / (largest(b[name]) || 1)),
    0,
  );
const environment = driver();
const rows = [];
for (const workload of list.split(",")) {
  const exact = reference(workload, inputs(workload), cfg[workload] ?? cfg[workload.slice(0, 2)]);
  let want = exact && Object.fromEntries(Object.entries(exact).map(([name, values]) => [name, Array.from(values)]));
  console.log(
    `\n| ${workload} | ms (min - max) | host ms | first ms | dispatches | submits | MB bound | pipelines | peak MB | largest difference to ${exact ? "f64" : "the first row"} |\n|---|---|---|---|---|---|---|---|---|---|`,
  );
  for (const peer of peers) {
    const file = join("results", `${workload}-${peer}.json`);
    const { stdout, stderr } = run(
      process.execPath,
      ["one.mjs", peer, workload, steps, file],
      peer === "webpeft" ? {} : environment,
    );
    const line = stdout.split("\n").find((text) => text.startsWith('{"peer"'));
    const record = line && JSON.parse(line);
    if (!record || record.unsupported) {
      console.log(
        `| ${peer} | ${record ? "not expressible" : `failed: ${(stderr.match(/\w*Error.*/)?.[0] ?? "no output").slice(0, 100)}`} | | | | | | | | |`,
      );
      continue;
    }
    const outputs = JSON.parse(readFileSync(file, "utf8"));
    want ??= outputs;
    const ms = (x) => x.toFixed(1);
    console.log(
      `| ${peer} | ${ms(record.ms)} (${ms(record.min)} - ${ms(record.max)}) | ${ms(record.hostMs)} | ${record.firstMs.toFixed(0)} | ${record.dispatches} | ${record.submits} | ${ms(record.megabytesBound)} | ${record.pipelines} | ${ms(record.peakMB)} | ${difference(outputs, want).toExponential(1)} |`,
    );
    rows.push(record);
  }
}
writeFileSync("results/summary.json", JSON.stringify(rows, null, 1));
console.log(`\n${rows[0]?.adapter}; median of ${steps} steps after 3.`);
