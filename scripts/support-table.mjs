// Writes docs/support.md from what golden cases and bases passed: `npm run support` runs them all, `npm run support -- RESULTS.json` reads the results of a
// `npm run test:all -- --reporter=json --outputFile.json=RESULTS.json` that there was.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const parts = ["train", "merge", "load", "save"];
const tests = ["test/golden/methods.test.ts", "test/models/bases.test.ts"];
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
      [vitest, "run", ...tests, "--reporter=default", "--reporter=json", `--outputFile.json=${output}`],
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
    .flatMap(({ meta }) => meta ?? []);

/** Cases that passed, of how many. */
function cell(rows, executor, part) {
  const asked = rows.filter((one) => one.executor === executor && one.parts[part] !== null);
  return asked.length === 0 ? "none" : `${asked.filter((one) => one.parts[part]).length}/${asked.length}`;
}

/** What has the same values of these fields, in the order of these values. */
function grouped(found, fields) {
  const groups = new Map();
  for (const one of found) {
    const key = fields.map((field) => one[field]).join(" | ");
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

const rowsOf = (columns, rows) => [
  `| ${columns.join(" | ")} |`,
  `|${columns.map(() => "---|").join("")}`,
  ...rows.map((cells) => `| ${cells.join(" | ")} |`),
];

function methodTable(found) {
  const columns = executors.flatMap((executor) => parts.map((part) => [executor, part]));
  return rowsOf(
    ["method", "model", "head", ...columns.map(([executor, part]) => `${part}, ${executor}`)],
    grouped(found, ["method", "model", "head"]).map(([key, rows]) => [
      key,
      ...columns.map(([executor, part]) => cell(rows, executor, part)),
    ]),
  );
}

/** Names of heads by their kinds, in the order of the columns. */
const heads = {
  ...{ causal: "next token", decoder: "text to text", masked: "masked tokens", sequence: "classes of a row or an image" },
  ...{ token: "classes of tokens", span: "questions", none: "hidden states" },
};

function familyTable(found) {
  const ofHead = (rows, head) => {
    const cases = rows.filter((one) => one.head === head);
    if (cases.length > 0) return `${cases.filter(({ passed }) => passed).length}/${cases.length}`;
    return rows.some(({ built }) => built.includes(head)) ? "yes" : "";
  };
  return rowsOf(
    ["family", ...Object.values(heads)],
    grouped(found, ["model"]).map(([model, rows]) => [model, ...Object.keys(heads).map((head) => ofHead(rows, head))]),
  );
}

/** The text with another table between the comments of this name. */
function replaced(text, name, lines) {
  const [start, end] = [`<!-- table of ${name} -->\n`, `<!-- end of the table of ${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/support.md has lost the comments around its table of ${name}`);
  if (lines.length < 3) throw new Error(`no test reported anything of ${name}`);
  return `${text.slice(0, from)}${start}\n${lines.join("\n")}\n\n${text.slice(to)}`;
}

const { failed, found } = results(process.argv[2]);
const path = join(root, "docs/support.md");
const methods = methodTable(found.flatMap(({ support }) => (support === undefined ? [] : [{ ...support, head: heads[support.head] }])));
const families = familyTable(found.flatMap(({ family }) => family ?? []));
writeFileSync(path, replaced(replaced(readFileSync(path, "utf8"), "methods", methods), "families", families));
process.exitCode = failed ? 1 : 0;
