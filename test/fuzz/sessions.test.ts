/**
 * Random calls of a session, begun at once and with their inputs overwritten behind them, do what the same calls do one after the other.
 * `npm run fuzz` tries as many as WEBPEFT_FUZZ says; a run of all tests 150.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { sha256 } from "../../src/ir/hash.ts";
import { registry } from "../../src/methods/registry.ts";
import type { AdapterConfigs, CompiledProgram } from "../../src/program/index.ts";
import type { OptimizerState, Session } from "../../src/runtime/session/session.ts";
import { startSession } from "../../src/runtime/session/start.ts";
import { tinyModel } from "../runtime/tiny-model.ts";
import { type Call, callLists, outcome, spoil, type Things } from "./session-calls.ts";
import { slowExecutor } from "./slow-executor.ts";

const runs = Number(process.env.WEBPEFT_FUZZ ?? 150);
const seed = 20261128;

const model = await tinyModel();
const lora = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: ["q_proj"] };
const size = { batch: 1, length: 4 };
const program = await compile(model, lora, { ...size, accumulate: true });

/** The same program for the same configs: compiling takes longer than everything else. */
const compiled = new Map<string, Promise<CompiledProgram>>();
function recompile(adapters: readonly AdapterConfigs[]): Promise<CompiledProgram> {
  const key = JSON.stringify(adapters);
  const known = compiled.get(key) ?? program.recompile(adapters);
  compiled.set(key, known);
  return known;
}
const start = (first: CompiledProgram = program): Promise<Session> =>
  startSession(first, { model, methods: registry(), compile: recompile }, { device: slowExecutor, seed: 1 });

async function things(): Promise<Things> {
  const stateOf = async (config: object): Promise<OptimizerState> =>
    (await start(await compile(model, config, size))).optimizerState();
  const filesOf = async (config: object) =>
    Object.fromEntries(await (await start(await compile(model, config, size))).files());
  const own = await stateOf(lora);
  return {
    files: {
      lora: await filesOf({ ...lora, init_lora_weights: false }),
      ia3: await filesOf({ peft_type: "IA3", target_modules: ["q_proj"], feedforward_modules: [] }),
      broken: { "adapter_config.json": new TextEncoder().encode("{") },
    },
    states: {
      own: { ...own, step: 3 },
      foreign: await stateOf({ ...lora, target_modules: ["o_proj"] }),
      short: { ...own, moment1: own.moment1.slice(1) },
      negative: { ...own, step: -1 },
      none: null as unknown as OptimizerState,
    },
  };
}
const known = await things();

/** Every call when the one before is over. */
async function serially(calls: readonly Call[]): Promise<string[]> {
  const session = await start();
  const outcomes: string[] = [];
  for (const call of calls) outcomes.push(await outcome(session, structuredClone(call) as Call, known));
  return [...outcomes, ...(await ending(session))];
}

/** All calls at once. What is disposed fails what is under way, so that the calls before it are waited for. */
async function atOnce(calls: readonly Call[]): Promise<string[]> {
  const session = await start();
  const begun: Promise<string>[] = [];
  for (const given of calls) {
    // Each of its own: what is overwritten is no other call's.
    const call = structuredClone(given) as Call;
    if (call[0] === "dispose") await Promise.allSettled(begun);
    begun.push(outcome(session, call, known));
    spoil(call.slice(1));
  }
  return [...(await Promise.all(begun)), ...(await ending(session))];
}

/** Long texts by their hash, so that what differs can be read. */
const short = (text: string): string => (text.length > 200 ? `${text.slice(0, 40)}... ${sha256(text)}` : text);

const ending = async (session: Session): Promise<string[]> => [
  short(await outcome(session, ["optimizerState"], known)),
  await outcome(session, ["use", "default"], known),
  short(await outcome(session, ["optimizerState"], known)),
  String(session.steps),
];

test(`${runs} random lists of calls`, { timeout: 60_000 + runs * 200 }, async () => {
  const found = new Map<string, number>();
  const property = fc.asyncProperty(callLists, async (calls) => {
    const wanted = await serially(calls);
    expect(await atOnce(calls)).toEqual(wanted);
    for (const one of wanted) {
      const code = /^[A-Z-]+$/.test(one) ? one : "done";
      found.set(code, (found.get(code) ?? 0) + 1);
      expect(one).not.toMatch(/NaN|Infinity|null,null/);
    }
  });
  // What fails is printed as a list that `serially` and `atOnce` take, after it was made as short as it can be.
  await fc.assert(property, { seed, numRuns: runs });
  for (const code of [
    "done",
    "DATA-BATCH",
    "SESSION-OPTION",
    "SESSION-DISPOSED",
    "SESSION-STATE",
    "SESSION-ADAPTER-UNKNOWN",
  ])
    expect(found.get(code) ?? 0, code).toBeGreaterThan(runs / 50);
});
