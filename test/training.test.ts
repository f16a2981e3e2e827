/** The training loop of a session: events, breaking out, aborting. */
import { describe, expect, it } from "vitest";
import { compile, loadModel } from "../src/index.ts";

async function session() {
  const model = await loadModel("test/fixtures/golden/bases/llama");
  const program = await compile(
    model,
    { peft_type: "LORA", r: 4, target_modules: ["q_proj"] },
    { batch: 2, length: 8 },
  );
  return program.start({ device: "cpu", seed: 1 });
}
const ids = Int32Array.from({ length: 16 }, (_unused, i) => (i * 5 + 3) % 64);
const batch = { input_ids: ids, labels: ids };

describe("session.train", () => {
  it("tells of every step and ends", async () => {
    const s = await session();
    const events = [];
    for await (const event of s.train(batch, { steps: 6, lr: 0.02, schedule: "linear" })) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([...Array.from({ length: 6 }, () => "step"), "done"]);
    const losses = events.flatMap((event) => (event.type === "step" ? [event.loss] : []));
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    s.dispose();
  });

  it("leaves a usable session when the loop is left, and stops when it is told to", async () => {
    const s = await session();
    for await (const event of s.train(batch, { steps: 9 })) if (event.type === "step" && event.step === 1) break;
    expect(s.steps).toBe(2);
    const abort = new AbortController();
    abort.abort();
    const rest = [];
    for await (const event of s.train(batch, { steps: 9, signal: abort.signal })) rest.push(event);
    expect(rest).toEqual([{ type: "done", step: 2, status: "stopped" }]);
    expect((await s.forward(batch)).loss).toBeGreaterThan(0);
    s.dispose();
  });
});
