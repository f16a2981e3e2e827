/** Checkpoints whose files were changed: resuming refuses them, or goes on exactly from where the run was. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { OptimizerState, Session } from "../../src/runtime/session/session.ts";
import { loadCheckpoint, saveCheckpoint } from "../../src/runtime/training/checkpoint.ts";
import { apply, type Change, changes, type Files } from "./checkpoint-mutations.ts";
import { batch, refusedOrRight, runsOr, seed, tinyLlama } from "./helpers.ts";

const runs = runsOr(150);
const identity = { model: "m", data: "d", options: '{"lr":0.05}', arithmetic: "rounded" };
const folder = mkdtempSync(join(tmpdir(), "webpeft-fuzz-"));
const original: Files = new Map();
/** The run's state by its steps. */
const states = new Map<number, OptimizerState>();
let session: Session;

beforeAll(async () => {
  const config = { peft_type: "LORA", r: 2, target_modules: ["q_proj"] };
  const program = await compile(await tinyLlama(), config, { batch: 1, length: 4 });
  session = await program.start({ device: "cpu", seed: 1 });
  for (let step = 0; step <= 8; step++) {
    if (step === 4 || step === 6) await saveCheckpoint(join(folder, "run"), session, identity);
    states.set(step, await session.optimizerState());
    await session.step(batch, { lr: 0.05 });
  }
  for (const name of readdirSync(join(folder, "run"), { recursive: true, withFileTypes: true }))
    if (name.isFile()) {
      const path = join(name.parentPath, name.name);
      original.set(path.slice(join(folder, "run").length + 1), new Uint8Array(readFileSync(path)));
    }
});
afterAll(() => {
  session.dispose();
  rmSync(folder, { recursive: true, force: true });
});

function write(files: Files): string {
  const out = join(folder, "changed");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), bytes);
  }
  return out;
}

/** `changed(list)`: the checkpoints of the run with these changes, loaded. To be pasted from a run that failed. */
async function changed(list: readonly Change[]): Promise<OptimizerState> {
  const files = new Map(original);
  for (const change of list) apply(files, change);
  return loadCheckpoint(write(files), identity);
}

it(`${runs} changed checkpoints`, { timeout: 60_000 + runs * 100 }, async () => {
  const codes = new Map<string, number>();
  const property = fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 3 }), async (list) => {
    const code = await refusedOrRight(`await changed(${fc.stringify(list)})`, async () => {
      const state = await changed(list);
      expect(state).toEqual(states.get(state.step));
    });
    if (code !== undefined) expect(code, JSON.stringify(list)).toMatch(/^TRAIN-RESUME-/);
    codes.set(code ?? "goes on", (codes.get(code ?? "goes on") ?? 0) + 1);
  });
  await fc.assert(property, { seed, numRuns: runs });
  expect([...codes.keys()].sort()).toEqual(expect.arrayContaining(["TRAIN-RESUME-BROKEN", "goes on"]));
});

it("goes on from an unchanged checkpoint to the numbers of the run", async () => {
  const state = await changed([]);
  expect(state.step).toBe(6);
  await session.restore(state);
  for (let step = 6; step < 8; step++) await session.step(batch, { lr: 0.05 });
  expect(await session.optimizerState()).toEqual(states.get(8));
  for (const name of ["data", "arithmetic"]) {
    const other = loadCheckpoint(join(folder, "run"), { ...identity, [name]: "other" });
    const message = expect.stringContaining(`what differs: ${name}`);
    await expect(other).rejects.toMatchObject({ code: "TRAIN-RESUME-OTHER", message });
  }
});
