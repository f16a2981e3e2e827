// What changed between two commits in what is generated: `npm run kernels -- A B [--golden]`. Every budget program (`test/budgets/programs.json`,
// trained, merged and fresh, for both presets of a target) and with `--golden` every golden case is compiled by both; printed are the kernels
// that were added, removed and changed, and the programs whose plans or graphs are others. `.` is the working tree. Exit code 1: they differ.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const json = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
// Where in a method's text a node or a warning comes from, and whether it is part of a gradient, is no part of what is generated.
const places = new Set(["location", "where", "phase"]);
const placeless = (key, value) => (places.has(key) ? undefined : value);
const hash = (value) => createHash("sha256").update(JSON.stringify(value, placeless)).digest("hex").slice(0, 16);
const run = (command, given, cwd) => execFileSync(command, given, { cwd, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 2 ** 30 }).toString();

/** The budgets' llama; nothing here reads its numbers. */
function llama({ sizes }) {
  const { width, hidden, vocabulary, layers, heads, length } = sizes;
  const weights = {};
  const add = (key, ...shape) => {
    weights[key] = { shape, data: new Float32Array(shape.reduce((a, b) => a * b)) };
  };
  add("model.embed_tokens.weight", vocabulary, width);
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}`;
    for (const name of ["q", "k", "v", "o"]) add(`${at}.self_attn.${name}_proj.weight`, width, width);
    for (const name of ["gate", "up"]) add(`${at}.mlp.${name}_proj.weight`, hidden, width);
    add(`${at}.mlp.down_proj.weight`, width, hidden);
    for (const name of ["input", "post_attention"]) add(`${at}.${name}_layernorm.weight`, width);
  }
  add("model.norm.weight", width);
  add("lm_head.weight", vocabulary, width);
  const config = {
    ...{ model_type: "llama", hidden_size: width, num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: heads },
    ...{ intermediate_size: hidden, vocab_size: vocabulary, max_position_embeddings: length, rms_norm_eps: 1e-5 },
    ...{ hidden_act: "silu", tie_word_embeddings: false },
  };
  return { config, weights };
}

/** What one program generates: WGSL by kernel name, and hashes of all else. A program that is refused has its error instead. */
async function generated(compile, model, config, options) {
  const has = (of) => {
    try {
      return hash(of());
    } catch (error) {
      return String(error.code ?? error.message);
    }
  };
  try {
    const program = await compile(model, config, options);
    return {
      kernels: Object.fromEntries(program.kernels.map(({ name, wgsl }) => [name, wgsl])),
      other: {
        plan: has(() => program.plan),
        operator: has(() => program.graph("operator")),
        stages: has(() => program.stages.map(({ name, graph }) => [name, graph])),
        merge: has(() => program.merge?.()),
        init: has(() => program.init?.()),
        computed: has(() => program.computed),
        tensors: has(() => [program.adapter?.tensors, program.adapter?.inputs]),
        config: has(() => program.adapter?.savedConfig),
        diagnostics: has(() => program.diagnostics),
      },
    };
  } catch (error) {
    return { kernels: {}, other: { error: `${error.code ?? error.name}: ${error.message}` } };
  }
}

/** All programs of the library that was built into `dist`, by name; prints JSON. */
async function programs(dist, golden) {
  const webpeft = await import(pathToFileURL(join(dist, "index.js")));
  const { compile, loadModel, readAdapter, cpuTarget, defaultTarget } = webpeft;
  const found = {};
  const budget = json("test/budgets/programs.json");
  const model = await loadModel(llama(budget));
  const { batch, length } = budget.sizes;
  const experts = { 0: budget.adapters.lora, 1: budget.adapters.lora };
  const targets = Object.entries({ cpu: cpuTarget, gpu: defaultTarget });
  for (const [name, config] of Object.entries(budget.adapters))
    for (const [kind, target] of targets)
      found[`${name}/${kind}`] = await generated(compile, model, config, { batch, length, experts, target });
  const folder = join(root, "test/fixtures/golden");
  for (const name of golden ? readdirSync(join(folder, "cases")).sort() : []) {
    // The files have NaN, which is no JSON.
    const [, base] = readFileSync(join(folder, "cases", name, "case.json"), "utf8").match(/"base": "([^"]+)"/);
    const source = await loadModel(join(folder, "bases", base));
    const adapter = await readAdapter(join(folder, "cases", name));
    for (const [kind, target] of targets)
      found[`${name}/${kind}`] = await generated(compile, source, adapter, { batch: 2, length: 12, target });
  }
  console.log(JSON.stringify(found));
}

/** Builds a commit, or the working tree for `.`, and asks a process of its own for its programs. */
function programsOf(commit, golden) {
  const place = mkdtempSync(join(tmpdir(), "kernels-"));
  const source = commit === "." ? root : join(place, "source");
  try {
    if (commit !== ".") {
      run("git", ["worktree", "add", "--detach", "--force", source, commit], root);
      symlinkSync(join(root, "node_modules"), join(source, "node_modules"));
    }
    const out = join(source, "node_modules", ".cache", `kernels-${commit.replace(/\W/g, "_")}-${process.pid}`);
    run("npx", ["tsdown", "--no-dts", "--logLevel", "error", "--out-dir", out], source);
    try {
      return JSON.parse(run(process.execPath, [fileURLToPath(import.meta.url), "--programs", out, ...golden], root));
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  } finally {
    if (commit !== ".") run("git", ["worktree", "remove", "--force", source], root);
    rmSync(place, { recursive: true, force: true });
  }
}

/** What a commit generates never changes, so it is kept, for this script and these programs. */
function kept(commit, golden) {
  if (commit === ".") return programsOf(commit, golden);
  const sha = run("git", ["rev-parse", "--verify", `${commit}^{commit}`], root).trim();
  const asked = [readFileSync(fileURLToPath(import.meta.url), "utf8"), json("test/budgets/programs.json"), golden];
  const folder = join(root, "node_modules", ".cache");
  const path = join(folder, `kernels-${sha}-${hash(asked)}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8"));
  const found = programsOf(sha, golden);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, JSON.stringify(found));
  return found;
}

/** Texts of kernels by the programs that have them. */
function textsOf(found) {
  const texts = new Map();
  for (const [program, { kernels }] of Object.entries(found))
    for (const [name, wgsl] of Object.entries(kernels)) texts.set(wgsl, [...(texts.get(wgsl) ?? []), `${program}:${name}`]);
  return texts;
}

function compare(before, after) {
  const lines = [];
  const [old, now] = [textsOf(before), textsOf(after)];
  const named = new Map([...old].flatMap(([wgsl, places]) => (now.has(wgsl) ? [] : places.map((place) => [place, wgsl]))));
  const changed = new Set();
  for (const [wgsl, places] of now) {
    if (old.has(wgsl)) continue;
    const was = places.map((place) => named.get(place)).find((text) => text !== undefined);
    if (was !== undefined) changed.add(was);
    lines.push(`${was === undefined ? "added  " : "changed"} ${places[0]} (${places.length} places)`);
  }
  for (const [wgsl, places] of old)
    if (!now.has(wgsl) && !changed.has(wgsl)) lines.push(`removed ${places[0]} (${places.length} places)`);
  for (const [program, { other }] of Object.entries(after)) {
    const { other: was } = before[program] ?? {};
    const parts = Object.keys({ ...was, ...other }).filter((part) => was?.[part] !== other[part]);
    if (parts.length > 0) lines.push(`program ${program}: ${parts.map((part) => `${part} ${was?.[part]} -> ${other[part]}`).join(", ")}`);
  }
  console.log(lines.length === 0 ? `no difference in ${Object.keys(after).length} programs, ${now.size} kernels` : lines.join("\n"));
  return lines.length === 0;
}

const given = process.argv.slice(2);
const golden = given.filter((word) => word === "--golden");
const words = given.filter((word) => !word.startsWith("--"));
if (given[0] === "--programs") await programs(words[0], golden.length > 0);
else if (words.length !== 2) {
  console.error("usage: npm run kernels -- A B [--golden]   (commits; . is the working tree)");
  process.exitCode = 2;
} else {
  const [before, after] = words.map((commit) => kept(commit, golden));
  if (!compare(before, after)) process.exitCode = 1;
}
