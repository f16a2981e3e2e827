// npm run engines: the built package in Node, Deno and Bun, on the processor and, where the engine finds an adapter, on WebGPU. All give one loss.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

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
let expected;
for (const [name, file, options] of engines) {
  for (const device of ["cpu", "webgpu"]) {
    const begin = performance.now();
    const { stdout, stderr } = spawnSync(file, [...options, smoke, device], { encoding: "utf8", timeout: 90_000 });
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const line = stdout?.split("\n").find((text) => text.startsWith('{"engine"'));
    if (line === undefined) {
      failures.push(`${name} on ${device}`);
      console.log(`${name} on ${device}: failed after ${seconds} s\n${stdout}${stderr}`);
      continue;
    }
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
if (failures.length > 0) {
  console.error(`not as in Node: ${failures.join("; ")}`);
  process.exit(1);
}
