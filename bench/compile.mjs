// npm run bench:compile [-- rounds]: processor time of compiling and of making kernels, each in a fresh process, as a program has it, and as the
// command does, which tells V8 of Node 20 to optimise less (src/cli/engine.ts): the engine's own compiler and its garbage collection count too. Other work on the machine lengthens processor time as well, so take the least.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cfg } from "./data.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const llama = {
  model_type: "llama",
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  max_position_embeddings: 2048,
};
const heads = (own, shared) => ({ num_attention_heads: own, num_key_value_heads: shared });
const smolLM2 = (num_hidden_layers) => ({
  ...{ ...llama, ...heads(9, 3), num_hidden_layers, hidden_size: 576, intermediate_size: 1536, vocab_size: 49152 },
  tie_word_embeddings: true,
});
const { W4 } = cfg;
const small = {
  ...{
    ...llama,
    ...heads(W4.H, W4.H),
    num_hidden_layers: W4.L,
    hidden_size: W4.d,
    intermediate_size: W4.ff,
    vocab_size: W4.V,
  },
  tie_word_embeddings: false,
};
const one = { batch: 1, length: 128 };
const layered = (layers) => ({
  name: `SmolLM2-135M, LoRA, training, ${layers} layers`,
  config: smolLM2(layers),
  options: one,
  layers,
});

/** Milliseconds at most, on a quiet machine of two cores. */
const cases = [
  { name: "W4", config: small, options: { batch: W4.B, length: W4.T }, atMost: 300 },
  {
    name: "10,000 nodes in one graph (inference)",
    config: smolLM2(127),
    options: { ...one, mode: "infer" },
    atMost: 1500,
  },
  ...[4, 8, 16, 30, 60].map(layered).map((c) => (c.layers === 30 ? { ...c, atMost: 2000 } : c)),
];

/** In a process of its own: compiles one case and prints what it took. */
async function measure({ config, options }) {
  const { compile, loadModel } = await import("./results/compile/index.js");
  const folder = mkdtempSync(join(tmpdir(), "compile-"));
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const model = await loadModel(folder, { headersOnly: true });
  const now = () => Object.values(process.cpuUsage()).reduce((sum, n) => sum + n / 1000, 0);
  const start = now();
  const lora = { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: ["q_proj", "v_proj"] };
  const program = await compile(model, lora, options);
  const compiled = now();
  const dispatches = program.plan.stages.reduce((sum, stage) => sum + stage.dispatches.length, 0);
  const [compiling, kernels] = [compiled - start, now() - compiled];
  const nodes = program.stages.reduce((sum, { graph }) => sum + graph.nodes.length, 0);
  rmSync(folder, { recursive: true });
  console.log(JSON.stringify({ compiling, kernels, total: compiling + kernels, nodes, dispatches }));
}

if (process.argv[2] === "--case") {
  process.chdir(here);
  await measure(cases[Number(process.argv[3])]);
} else {
  const rounds = Number(process.argv[2] ?? 5);
  const build = ["--no-dts", "--logLevel", "error", "--out-dir", join(here, "results/compile")];
  spawnSync("npx", ["tsdown", ...build], { cwd: join(here, ".."), stdio: ["ignore", "ignore", "inherit"] });
  const [, budget] = /budget = ([\d_]+)/.exec(readFileSync(join(here, "../src/cli/engine.ts"), "utf8"));
  const tuned = process.version.startsWith("v20.") ? [`--interrupt-budget=${budget.replaceAll("_", "")}`] : [];
  const run = (flags, i) =>
    JSON.parse(execFileSync(process.execPath, [...flags, fileURLToPath(import.meta.url), "--case", String(i)]));
  const [programs, commands] = [cases.map(() => []), cases.map(() => [])];
  // In turns, so that other work on the machine slows all alike.
  for (let round = 0; round < rounds; round++)
    for (const i of cases.keys()) {
      programs[i].push(run([], i));
      commands[i].push(run(tuned, i));
    }
  const leastOf = (own) => own.reduce((best, next) => (next.total < best.total ? next : best));
  const [least, leastCommand] = [programs.map(leastOf), commands.map(leastOf)];
  const first = least[cases.findIndex(({ layers }) => layers !== undefined)].total;
  console.log(
    "| program | nodes | dispatches | compile ms | kernels ms | together | in the command | at most | ms per layer | ratio to 4 layers |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|");
  for (const [i, { name, atMost, layers }] of cases.entries()) {
    const { nodes, dispatches, compiling, kernels, total } = least[i];
    const growth = layers === undefined ? ["", ""] : [(total / layers).toFixed(0), (total / first).toFixed(2)];
    const cells = [
      name,
      nodes,
      dispatches,
      ...[compiling, kernels, total, leastCommand[i].total].map((ms) => ms.toFixed(0)),
      atMost ?? "",
      ...growth,
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  console.log(`\nNode ${process.version}; the least of ${rounds} rounds.`);
}
