/** Several adapters in one session. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compile, loadModel, readAdapter, type Session } from "../src/index.ts";
import { referenceExecutor } from "../src/runtime/executors/reference.ts";

const golden = "test/fixtures/golden";
const cases = join(golden, "cases");
const ids = Int32Array.from({ length: 16 }, (_unused, i) => (i * 5 + 3) % 64);
const batch = { input_ids: ids, labels: ids };
const config = { peft_type: "LORA", r: 4, target_modules: ["q_proj"] };
const model = () => loadModel(join(golden, "bases/llama"));

const start = async (seed: number): Promise<Session> =>
  (await compile(await model(), config, { batch: 2, length: 8 })).start({ device: "cpu", seed });
const files = async (session: Session) => Object.fromEntries(await session.files());
const logits = async (session: Session): Promise<Float32Array> => (await session.forward(batch)).logits;

/** A LoRA that was trained for some steps. */
async function trained(seed: number, steps: number) {
  const session = await start(seed);
  for (let step = 0; step < steps; step++) await session.step(batch, { lr: 0.05 });
  const result = { files: await files(session), logits: await logits(session) };
  session.dispose();
  return result;
}

describe("the adapters of a session", () => {
  it("are switched by name, and each computes what it computes alone", async () => {
    const [one, two] = [await trained(1, 3), await trained(2, 3)];
    const session = await start(3);
    const fresh = await logits(session);
    await session.load("one", one.files);
    await session.load("two", two.files);
    expect(await logits(session)).toEqual(fresh);
    for (const [name, wanted] of [
      ["one", one],
      ["two", two],
      ["one", one],
    ] as const) {
      session.use(name);
      expect(await logits(session)).toEqual(wanted.logits);
      expect(await files(session)).toEqual(wanted.files);
    }
    await session.use("default");
    expect(await logits(session)).toEqual(fresh);
    expect(one.logits).not.toEqual(two.logits);
    session.dispose();
  });

  it("of one config share an instance, and train as they would alone", async () => {
    let instances = 0;
    const executor = referenceExecutor();
    const counting = {
      ...executor,
      instantiate: (...args: Parameters<typeof executor.instantiate>) => {
        instances++;
        return executor.instantiate(...args);
      },
    };
    const program = await compile(await model(), config, { batch: 2, length: 8 });
    const alone = async (seed: number): Promise<number[]> => {
      const session = await program.start({ device: executor, seed });
      const losses = [];
      for (let step = 0; step < 4; step++) losses.push((await session.step(batch, { lr: 0.05 })).loss);
      return losses;
    };
    const other = await program.start({ device: executor, seed: 5 });
    const session = await program.start({ device: counting, seed: 4 });
    await session.load("other", await files(other));
    const [mine, others]: [number[], number[]] = [[], []];
    for (let step = 0; step < 4; step++) {
      mine.push((await session.step(batch, { lr: 0.05 })).loss);
      session.use("other");
      others.push((await session.step(batch, { lr: 0.05 })).loss);
      expect(session.steps).toBe(step + 1);
      session.use("default");
    }
    expect(instances).toBe(1);
    expect([mine, others]).toEqual([await alone(4), await alone(5)]);
  });

  it("may be of other kinds, or none at all", async () => {
    const session = await start(6);
    await session.step(batch, { lr: 0.05 });
    const adapted = await logits(session);
    const oft = await readAdapter(join(cases, "llama-oft"));
    await session.load("oft", oft);
    const own = await compile(await model(), oft.config, { batch: 2, length: 8, loaded: true });
    const ownSession = await own.start({ device: "cpu", adapter: oft });
    session.use("oft");
    expect(await logits(session)).toEqual(await logits(ownSession));
    const base = await (await compile(await model(), null, { batch: 2, length: 8 })).start({ device: "cpu" });
    session.use(null);
    expect(await logits(session)).toEqual(await logits(base));
    await expect(session.step(batch)).rejects.toMatchObject({ code: "SESSION-MODE" });
    await expect(session.files()).rejects.toMatchObject({ code: "SESSION-MODE" });
    session.use("default");
    expect(await logits(session)).toEqual(adapted);
    for (const one of [session, ownSession, base]) one.dispose();
  });

  it("are switched between calls, in the order of the calls", async () => {
    const [one, two] = [await trained(7, 3), await trained(8, 3)];
    const session = await start(9);
    await session.load("one", one.files);
    await session.load("two", two.files);
    session.use("one");
    const first = logits(session);
    session.use("two");
    const second = logits(session);
    expect([await first, await second]).toEqual([one.logits, two.logits]);
    session.dispose();
  });

  it("have names of their own, and stay when a switch fails", async () => {
    const one = await trained(1, 1);
    const session = await start(1);
    await session.load("one", one.files);
    await expect(session.load("one", one.files)).rejects.toMatchObject({ code: "SESSION-ADAPTER-NAME", where: "one" });
    expect(() => session.use("two")).toThrow(
      expect.objectContaining({ code: "SESSION-ADAPTER-UNKNOWN", expected: "default, one" }) as Error,
    );
    await expect(session.load("three", join(cases, "nowhere"))).rejects.toMatchObject({ code: "FILE-NOT-FOUND" });
    session.use("one");
    expect(await logits(session)).toEqual(one.logits);
    session.dispose();
  });
});
