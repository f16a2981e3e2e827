/** What made a NaN is found on the executor that made it: the same op on all of them, the kernel where there are kernels, and what it was given. */
import { beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { parseGraph } from "../../src/ir/text/parse.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { givenOf } from "../../src/runtime/runs/given.ts";
import { NotFiniteError } from "../../src/runtime/runs/not-finite-error.ts";
import type { Session } from "../../src/runtime/session/session.ts";
import type { StartOptions } from "../../src/runtime/session/start.ts";
import { sharedDevice } from "../shared-device.ts";
import { tinyModel } from "./tiny-model.ts";

const method = `method hot on linear {
  W' = diag(exp(G)) @ W;
  param G[out] = zeros at "G";
}`;
const model = await tinyModel();
const batch = { input_ids: [3, 5, 7, 1], labels: [3, 5, 7, 1] };
const config = { peft_type: "HOT", target_modules: ["q_proj"] };

let open: OpenDevice;
beforeAll(async () => {
  open = await sharedDevice();
});

/** A session in which every G is this number. */
async function started(device: StartOptions["device"], g: number, accumulate: boolean): Promise<Session> {
  const program = await compile(model, config, { batch: 1, length: 4, method, methodFile: "hot.txt", accumulate });
  const session = await program.start({ device });
  const state = await session.optimizerState();
  const { bindings } = program.storage;
  const params = state.params.slice();
  for (const [name, { offset, size, buffer }] of Object.entries(bindings))
    if (buffer === "params" && name.endsWith(".G")) params.fill(g, offset, offset + size);
  await session.restore({ ...state, params });
  return session;
}

const failure = async (call: Promise<unknown>): Promise<NotFiniteError> => {
  const error = await call.then(
    () => new Error("it is finite"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof NotFiniteError)) throw error;
  return error;
};

describe("what a kernel was given", () => {
  const graph = parseGraph(
    "func @f(%x: f32[4,100000] input, %y: f32[3] input) {\n  %2 = exp %x : f32[4,100000]\n  return out = %2\n}",
  );
  const data = new Float32Array(400_000).fill(1);
  data[250_000] = Number.POSITIVE_INFINITY;
  const step = { stage: "micro", graph, reads: [0, 1], stores: [2], numbers: async () => data } as const;
  const run = { run: 1, inputs: { seed: [7], tokens: [1, 2] } };
  const read = new Map([
    [0, Float32Array.from(data, (_x, i) => i)],
    [1, Float32Array.of(1, 2, 3)],
  ]);

  it("is kept around the first number that is not finite where it is too much, with what the run was given", () => {
    const { values, ...given } = givenOf({ ...step, dispatch: { at: 5, kernel: "k" } }, { id: 2, data }, read, run)!;
    expect(given).toMatchObject({ dispatch: 5, kernel: "k", first: 250_000, isWhole: false, run: 1 });
    expect(given.scalars).toEqual({ seed: 7 });
    expect(values.map(({ from, count, numbers }) => [from, count, numbers.length])).toEqual([
      [249_872, 400_000, 256],
      [0, 3, 3],
    ]);
    expect(values[0]!.numbers[128]).toBe(250_000);
  });

  it("is kept whole where it is little, and not at all where there are no kernels", () => {
    const few = new Map([[1, Float32Array.of(1, 2, 3)]]);
    expect(givenOf({ ...step, dispatch: { at: 5, kernel: "k" } }, { id: 2, data }, few, run)!.isWhole).toBe(true);
    expect(givenOf(step, { id: 2, data }, few, run)).toBeUndefined();
  });
});

describe.each(["cpu", "webgpu", "tfjs"] as const)("on %s", (name) => {
  const device = () => (name === "webgpu" ? open : name);

  it.each([false, true])("an op that overflows, with what it was given; accumulating: %s", async (accumulate) => {
    const session = await started(device(), 100, accumulate);
    const before = await session.optimizerState();
    const { message, where, got, origin } = await failure(session.step(accumulate ? [batch, batch] : batch));
    expect(message).toMatch(/^step 1 gave .* is not finite: %\d+ = exp \(hot\.txt:2\) in .* was the first to give/);
    expect(where).toBe("model.layers.0.self_attn.q_proj");
    expect(origin).toMatchObject({ line: "hot.txt:2", inputs: [{ least: 100, most: 100, notFinite: 0 }] });
    expect(got).toMatch(/^8 of 8 numbers of f32\[8\]; of .* 100 to 100$/);
    expect(origin!.kernel !== undefined).toBe(name === "cpu" || name === "webgpu");
    expect(await session.optimizerState()).toEqual(before);
    session.dispose();
  });

  it("a parameter that is not finite, in a forward pass too", async () => {
    const session = await started(device(), 100, false);
    expect((await failure(session.forward(batch))).origin).toMatchObject({ line: "hot.txt:2" });
    session.dispose();
  });

  it("an update that f32 cannot hold, with the parameter and what it was made of", async () => {
    const session = await started(device(), 0.5, false);
    const before = await session.optimizerState();
    const { message, where, got, origin } = await failure(session.step(batch, { lr: 3e38, weightDecay: 3e38 }));
    expect(message).toMatch(/^step 1 would have made .* f32 cannot hold: %\d+ = \w+ .*update/);
    expect(where).toMatch(/q_proj\.G$/);
    expect(origin).toMatchObject({ stage: "update", parameter: where });
    expect(got).toMatch(/^8 of 8 numbers of .*q_proj\.G; of /);
    expect(await session.optimizerState()).toEqual(before);
    session.dispose();
  });
});
