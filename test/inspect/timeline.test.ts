/** The timeline as a file: what it leaves out, what can be told from it, and that it stays small where a model has many layers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { type SharedNote, sharedNotes, timelineFile } from "../../src/inspect/timeline.ts";
import type { Rewrite } from "../../src/passes/rewrite.ts";
import { loadModel } from "../../src/runtime/files/model.ts";
import { part } from "../extent.ts";
import { baseModel, golden } from "../golden/helpers.ts";

interface Entry {
  readonly stage: string;
  readonly pass: string;
  readonly hits: Readonly<Record<string, number>>;
  readonly rewrites: readonly (Omit<Rewrite, "added"> & Partial<Rewrite>)[];
  readonly notes: readonly SharedNote[];
}

const term = { vectors: 2, out: 4, in: 4, times: 3, flops: 96 };
const note = (scope: string, decision = "activation", flops = 96) => ({
  scope,
  decision,
  candidates: { activation: 96, weight: 128 },
  terms: { activation: [{ ...term, what: `${scope}.weight`, flops }] },
});

describe("decisions", () => {
  it("are one where they differ in names alone, and several where costs are sums of something else", () => {
    const [first, other, ...more] = sharedNotes([note("0.q"), note("1.q"), note("0.v", "activation", 32), note("1.v")]);
    expect(first).toMatchObject({ scopes: ["0.q", "1.q", "1.v"], terms: { activation: [{ what: "0.q.weight" }] } });
    expect(other).toMatchObject({ scopes: ["0.v"] });
    expect(more).toEqual([]);
  });

  it("of one module keep their order, whatever that of other modules is", () => {
    const shared = sharedNotes([note("0"), note("0", "weight"), note("1", "weight"), note("1")]);
    const of = (module: string): string[] =>
      shared.filter(({ scopes }) => scopes.includes(module)).map(({ decision }) => decision);
    expect([of("0"), of("1")]).toEqual([
      ["activation", "weight"],
      ["weight", "activation"],
    ]);
  });
});

it("has every rewrite and every decision of a program", async () => {
  const config = { peft_type: "BOFT", boft_block_size: 4, boft_n_butterfly_factor: 2, target_modules: "all-linear" };
  const { timeline } = await compile(await baseModel("llama"), config, { batch: 2, length: 8 });
  const entries = JSON.parse(timelineFile(timeline)) as Entry[];
  for (const [i, { rewrites, notes, patches: _, inversePatches: __, ...facts }] of timeline.entries()) {
    const { rewrites: places, notes: shared, ...own } = entries[i]!;
    expect(own).toEqual(facts);
    expect(places.map((place) => ({ added: [], ...place }))).toEqual(rewrites);
    const told = shared.flatMap(({ scopes, decision, candidates }) =>
      scopes.map((scope) => ({ scope, decision, candidates })),
    );
    expect(told).toHaveLength(notes.length);
    const noted = notes.map(({ scope, decision, candidates }) => ({ scope, decision, candidates }));
    expect(told).toEqual(expect.arrayContaining(noted));
  }
});

describe("a timeline of thirty layers", () => {
  const folder = mkdtempSync(join(tmpdir(), "webpeft-timeline-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  const layers = 30;
  const t5Modules = ["q", "k", "v", "o", "wi", "wo"];
  const ends = ["encoder", "decoder"];
  /** No two modules have the same rank, so that nothing is decided at the same costs twice. */
  const ranks = ends.flatMap((end, e) =>
    Array.from({ length: layers }, (_, i) =>
      t5Modules.map((name, m) => [`${end}.block.${i}\\..*\\.${name}`, 1 + i + layers * (e + 2 * m)] as const),
    ).flat(),
  );
  const lora = { peft_type: "LORA", r: 8, lora_alpha: 16, target_modules: "all-linear" };
  const dora = { ...lora, use_dora: true, task_type: "SEQ_2_SEQ_LM" };
  const experts = Object.fromEntries(["a", "b", "c", "d"].map((name, i) => [name, { ...lora, r: 8 + i }]));
  const xlora = { peft_type: "XLORA", hidden_size: 32, layerwise_scalings: true, use_trainable_adapters: true };
  const hra = { peft_type: "HRA", r: 8, apply_GS: true, target_modules: t5Modules, task_type: "SEQ_2_SEQ_LM" };
  const boft = { peft_type: "BOFT", boft_block_size: 4, boft_n_butterfly_factor: 2, target_modules: t5Modules };

  /** The largest timelines that there are: many rules, many products, many costs that differ. */
  const largest: readonly (readonly [name: string, base: string, config: object, options: CompileOptions])[] = [
    ["X-LoRA of four", "llama", { ...xlora, adapters: { a: "a", b: "b", c: "c", d: "d" } }, { experts }],
    ["BOFT", "t5", { ...boft, task_type: "SEQ_2_SEQ_LM" }, {}],
    ["DoRA", "t5", dora, {}],
    ["HRA with Gram-Schmidt", "t5", hra, {}],
    ["DoRA with ranks that differ", "t5", { ...dora, rank_pattern: Object.fromEntries(ranks) }, {}],
  ];

  async function programOf(base: string, config: object, options: CompileOptions): Promise<Program> {
    const own = JSON.parse(readFileSync(golden(`bases/${base}/config.json`), "utf8")) as object;
    const deep = { num_hidden_layers: layers, num_layers: layers, num_decoder_layers: layers };
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...own, ...deep }));
    const model = await loadModel(folder, { headersOnly: true });
    return compile(model, config, { batch: 2, length: 16, ...options });
  }

  it.each(part(largest, largest.length))("is smaller than 2 MB: %s on %s", { timeout: 60_000 }, async (_, ...given) => {
    const program = await programOf(...given);
    // The files of an inspection have the graphs of these too.
    program.init?.();
    if (given[0] === "t5") program.merge?.();
    expect(new Set(program.timeline.flatMap(({ notes }) => notes.map(({ scope }) => scope))).size).toBeGreaterThan(200);
    expect(Buffer.byteLength(timelineFile(program.timeline))).toBeLessThan(2e6);
  });
});
