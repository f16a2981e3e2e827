// npm run engines [-- COUNT]: the built package in Node, Deno and Bun, on the processor and, where the engine finds an adapter, on WebGPU. All give one
// loss. Then random programs on WebGPU, against f64: 40 unless given, in Deno, whose compiler of WGSL is another one than that of the tests (Dawn's).
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsdown";

const here = dirname(fileURLToPath(import.meta.url));
const smoke = join(here, "smoke.mjs");
const modules = join(here, "node_modules");
if (!existsSync(modules)) {
  const { status } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit"], {
    cwd: here,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(1);
}

/** The binary that a package for this platform brings; its install script would only copy it. */
function binary(scope, ...path) {
  const found = readdirSync(join(modules, scope)).map((name) => join(modules, scope, name, ...path));
  return found.find((file) => existsSync(file) && spawnSync(file, ["--version"]).status === 0);
}

const deno = binary("@deno", process.platform === "win32" ? "deno.exe" : "deno");
const bun = binary("@oven", "bin", process.platform === "win32" ? "bun.exe" : "bun");
const engines = [
  ["Node", process.execPath, []],
  ["Deno", deno, ["run", "--allow-all", "--unstable-webgpu"]],
  ["Bun", bun, []],
];

const failures = [];

/** Runs a script in an engine: the line of JSON that begins with `key`, or nothing where there is none, which is a failure. */
function lineOf(key, what, [, file, options], args, timeout) {
  const begin = performance.now();
  const { stdout, stderr } = spawnSync(file, [...options, ...args], { encoding: "utf8", timeout });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const line = stdout?.split("\n").find((text) => text.startsWith(`{"${key}"`));
  if (line === undefined) {
    failures.push(what);
    console.log(`${what}: failed after ${seconds} s\n${stdout}${stderr}`);
  }
  return { line, seconds };
}

let expected;
for (const one of engines) {
  const [name] = one;
  for (const device of ["cpu", "webgpu"]) {
    const { line, seconds } = lineOf("engine", `${name} on ${device}`, one, [smoke, device], 90_000);
    if (line === undefined) continue;
    const { engine, description, source, losses, none } = JSON.parse(line);
    if (none !== undefined) {
      console.log(`${engine}: no adapter of WebGPU here, so the processor only [${seconds} s]`);
      continue;
    }
    expected ??= losses;
    const isRight = losses.every((loss, i) => Math.abs(loss - expected[i]) <= 1e-4 * Math.abs(expected[i]));
    if (!isRight || !(losses.at(-1) < losses[0])) failures.push(`${name} on ${device}`);
    const from = source === undefined ? "" : ` (${source})`;
    console.log(
      `${engine}: ${description}${from}: losses ${losses.map((x) => x.toFixed(5)).join(", ")} [${seconds} s]`,
    );
  }
}
const outDir = join(here, "..", "..", ".cache", "engines");
const entry = { programs: join(here, "programs.ts") };
const define = { __VERSION__: '"engines"' };
await build({ config: false, logLevel: "silent", dts: false, platform: "node", format: "esm", entry, outDir, define });
const count = process.argv[2] ?? "40";
const args = [join(outDir, "programs.mjs"), count];
const { line, seconds } = lineOf("programs", "random programs in Deno", engines[1], args, 600_000);
if (line !== undefined) {
  const { tried, wrong, none } = JSON.parse(line).programs;
  if (none !== undefined) console.log("Deno: no adapter of WebGPU here, so no random programs");
  else if (wrong !== undefined) failures.push(`program ${tried} in Deno: ${wrong}`);
  else console.log(`Deno: ${tried} random programs are right on WebGPU [${seconds} s]`);
}

if (failures.length > 0) {
  console.error(`not as in Node: ${failures.join("; ")}`);
  process.exit(1);
}
