// npm run test:real [NAME]: models against transformers and PEFT, one script of Python each, beside this one: real ones, and tiny ones of every head.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const helpers = ["decoder", "tiny"];
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".py"))
  .map((file) => basename(file, ".py"))
  .filter((name) => !helpers.includes(name));
const wanted = process.argv.length > 2 ? process.argv.slice(2) : names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no such model: ${unknown.join(", ")}; there are ${names.join(", ")}`);
  process.exit(2);
}
const failed = wanted.filter(
  (name) => spawnSync("python3", [join(folder, `${name}.py`)], { stdio: "inherit" }).status !== 0,
);
if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
