// Writes docs/support.md from what golden cases passed: `npm run support` runs them all, `npm run support -- RESULTS.json` reads the results of a
// `npm run test:all -- --reporter=json --outputFile.json=RESULTS.json` that there was.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const parts = ["train", "merge", "load", "save"];
const executors = ["WebAssembly", "WebGPU"];

/** What every golden test found out about its case. */
function results(known) {
  if (known !== undefined) return { failed: false, found: supportIn(known) };
  const folder = mkdtempSync(join(tmpdir(), "support-"));
  try {
    const output = join(folder, "results.json");
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { status } = spawnSync(
      process.execPath,
      [vitest, "run", "test/golden/methods.test.ts", "--reporter=default", "--reporter=json", `--outputFile.json=${output}`],
      { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, WEBPEFT_TESTS: "all" } },
    );
    return { failed: status !== 0, found: supportIn(output) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const supportIn = (file) =>
  JSON.parse(readFileSync(file, "utf8"))
    .testResults.flatMap((one) => one.assertionResults)
    .flatMap(({ meta }) => meta?.support ?? []);

/** Cases that passed, of how many. */
function cell(found, method, model, executor, part) {
  const cases = found.filter((one) => one.method === method && one.model === model && one.executor === executor);
  const asked = cases.filter((one) => one.parts[part] !== null);
  return asked.length === 0 ? "none" : `${asked.filter((one) => one.parts[part]).length}/${asked.length}`;
}

const modelsOf = (found, method) =>
  [...new Set(found.filter((one) => one.method === method).map(({ model }) => model))].sort();

function table(found) {
  const columns = executors.flatMap((executor) => parts.map((part) => [executor, part]));
  const methods = [...new Set(found.map(({ method }) => method))].sort();
  return [
    `| method | model | ${columns.map(([executor, part]) => `${part}, ${executor}`).join(" | ")} |`,
    `|---|---|${columns.map(() => "---|").join("")}`,
    ...methods.flatMap((method) =>
      modelsOf(found, method).map((model) => {
        const cells = columns.map(([executor, part]) => cell(found, method, model, executor, part));
        return `| ${method} | ${model} | ${cells.join(" | ")} |`;
      }),
    ),
  ].join("\n");
}

const { failed, found } = results(process.argv[2]);
const before = readFileSync(join(root, "docs/support.md"), "utf8");
const [start, end] = ["<!-- table -->\n", "<!-- end of table -->"];
const [from, to] = [before.indexOf(start), before.indexOf(end)];
if (from < 0 || to < from) throw new Error("docs/support.md has lost the comments around its table");
if (found.length === 0) throw new Error("no golden test reported anything");
writeFileSync(join(root, "docs/support.md"), `${before.slice(0, from)}${start}\n${table(found)}\n\n${before.slice(to)}`);
process.exitCode = failed ? 1 : 0;
