/** Weighted combinations against the numbers of PEFT's `add_weighted_adapter`, which `test/peft/weighted.py` wrote. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CombineOptions, compile, type Model, type Session } from "../../src/index.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { toFloat32 } from "../../src/runtime/files/tensor.ts";
import { baseModel, golden, type NumbersByName, readNumbers } from "../golden/helpers.ts";
import { largestDifference } from "./differences.ts";

interface WeightedCase {
  readonly name: string;
  readonly adapters: readonly string[];
  readonly weights: readonly number[];
  readonly options: CombineOptions;
  /** What PEFT's change of a weight is too strong by: a defect that webpeft does not share. */
  readonly peft_factor?: number;
}

const { cases } = JSON.parse(readFileSync(golden("weighted/cases.json"), "utf8")) as { cases: WeightedCase[] };
const allowed = 1e-5;

/** W' - W of every weight that the adapter in use changes, by the weight's key. */
async function changes(session: Session, model: Model): Promise<Map<string, Float32Array>> {
  const merged = (await session.merge()).weights;
  const found = new Map<string, Float32Array>();
  for (const key of model.weights.keys()) {
    const before = toFloat32(await model.weights.read(key));
    const change = toFloat32(await merged.read(key)).map((x, i) => x - before[i]!);
    if (change.some((x) => x !== 0)) found.set(key, change);
  }
  return found;
}

describe("combinations that PEFT made", () => {
  let model: Model;
  let expected: NumbersByName;
  const sessions = new Map<string, Session>();

  /** One session per type of adapter. */
  async function sessionOf(names: readonly string[]): Promise<Session> {
    const sources = await Promise.all(names.map((name) => readAdapter(golden(`weighted/${name}`))));
    const type = String(sources[0]!.config.peft_type);
    const first = async () => {
      const compiled = await compile(model, sources[0]!.config, { mode: "infer", batch: 1, length: 8 });
      return compiled.start({ device: "cpu", adapter: sources[0]! });
    };
    const session = sessions.get(type) ?? (await first());
    sessions.set(type, session);
    for (const [i, name] of names.entries())
      if (!session.adapterNames.includes(name)) await session.load(name, sources[i]!);
    return session;
  }

  beforeAll(async () => {
    [model, expected] = await Promise.all([baseModel("llama"), readNumbers("weighted/expected.safetensors")]);
  });
  afterAll(() => {
    for (const session of sessions.values()) session.dispose();
  });

  it.each(cases)("$name", async ({ name, adapters, weights, options, peft_factor: factor = 1 }) => {
    const session = await sessionOf(adapters);
    await session.addWeighted(adapters, weights, name, options);
    await session.use(name);
    const made = await changes(session, model);
    const keys = Object.keys(expected).filter((key) => key.startsWith(`${name}/`));
    expect([...made.keys()].map((key) => `${name}/${key}`).sort()).toEqual(keys.sort());
    for (const [key, change] of made) {
      const wanted = Float64Array.from(expected[`${name}/${key}`]!, (x) => x / factor);
      expect(largestDifference(change, wanted), key).toBeLessThan(allowed);
    }
  });

  it("differ from each other by more than what is allowed", () => {
    const key = "model.layers.0.self_attn.v_proj.weight";
    const same = new Set(["dare-linear-all linear", "rooted-first linear", "svd cat", "dare-linear-svd-all cat-ranks"]);
    for (const { name: one } of cases) {
      for (const { name: other } of cases.slice(
        0,
        cases.findIndex(({ name }) => name === one),
      )) {
        if (same.has(`${one} ${other}`)) continue;
        const gap = largestDifference(expected[`${one}/${key}`]!, expected[`${other}/${key}`]!);
        expect(gap, `${one} and ${other}`).toBeGreaterThan(100 * allowed);
      }
    }
  });
});
