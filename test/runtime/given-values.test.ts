/** First values that are given to a fresh adapter: SHiRA on entries of one's own choice. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { toInt32 } from "../../src/runtime/files/tensor.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import type { StartOptions } from "../../src/runtime/session/start.ts";
import { baseModel } from "../golden/helpers.ts";

const model = await baseModel("llama");
const site = "base_model.model.model.layers.0.self_attn.q_proj";
const key = `${site}.shira_indices`;
const config = { peft_type: "SHIRA", r: 1, mask_type: "diagonal", target_modules: ["layers.0.self_attn.q_proj"] };
const input_ids = Int32Array.from({ length: 16 }, (_unused, i) => (i * 7) % 20);

async function started(initial: StartOptions["initial"]): Promise<Session> {
  const program = await compile(model, config, { batch: 2, length: 8, loaded: true });
  return program.start({ device: "cpu", ...(initial === undefined ? {} : { initial }) });
}

/** The places (i, i) and (i, 0) of a weight [32, 32], row by row; 64 entries, as r 1 wants. */
function places(): number[] {
  const pairs = Array.from({ length: 32 }, (_unused, i) =>
    (i === 0 ? [0, 1] : [0, i]).map((j) => [i, j] as const),
  ).flat();
  return [...pairs.map(([i]) => i), ...pairs.map(([, j]) => j)];
}

describe("a mask of one's own", () => {
  it("trains and saves its entries, and merges into them alone", async () => {
    const session = await started({ [key]: places() });
    await session.step({ input_ids, labels: input_ids }, { lr: 0.1 });
    const saved = await session.adapterTensors();
    expect([...toInt32(saved.get(key)!, key)]).toEqual(places());
    const name = "model.layers.0.self_attn.q_proj.weight";
    const [before, after] = [await model.weights.read(name), await (await session.merge()).weights.read(name)];
    const changed = Array.from({ length: 1024 }, (_unused, i) => i).filter((i) =>
      [0, 1, 2, 3].some((byte) => before.bytes[4 * i + byte] !== after.bytes[4 * i + byte]),
    );
    const chosen = new Set(Array.from({ length: 64 }, (_unused, k) => places()[k]! * 32 + places()[64 + k]!));
    expect(changed.length).toBeGreaterThan(50);
    expect(changed.every((i) => chosen.has(i))).toBe(true);
    session.dispose();
  });

  it.each<[string, StartOptions["initial"], string]>([
    ["a key that is not there", { "shira.indices": [1] }, "SESSION-INITIAL"],
    ["too few numbers", { [key]: [1, 2] }, "SESSION-INITIAL"],
    ["numbers that are not whole", { [key]: places().map((x) => x + 0.5) }, "SESSION-INITIAL"],
    ["NaN", { [`${site}.shira_weight`]: new Float32Array(64).fill(Number.NaN) }, "SESSION-INITIAL"],
    ["places out of order", { [key]: [...places()].reverse() }, "FILE-ADAPTER-PLACES"],
    ["places outside", { [key]: places().map((x) => x + 1) }, "FILE-ADAPTER-PLACES"],
  ])("refuses %s", async (_what, initial, code) => {
    await expect(started(initial)).rejects.toMatchObject({ code });
  });
});
