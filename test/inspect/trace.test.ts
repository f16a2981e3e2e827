/** Traces of what dispatches took. */
import { beforeAll, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import type { Program } from "../../src/compile/program.ts";
import { type MeasuredDispatch, Trace } from "../../src/inspect/index.ts";
import { mostEvents } from "../../src/inspect/trace.ts";
import { baseModel } from "../golden/helpers.ts";

let program: Program;
let run: MeasuredDispatch[];

beforeAll(async () => {
  const config = { peft_type: "LORA", r: 4, target_modules: ["q_proj"] };
  program = await compile(await baseModel("llama"), config, { batch: 2, length: 8 });
  run = program.plan.stages.flatMap(({ name: stage, dispatches }) =>
    dispatches.map((dispatch, i) => ({ stage, kernel: { name: dispatch.kernel }, dispatch, nanoseconds: 1000 + i })),
  );
});

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, unknown>>;
}
const events = (trace: Trace): Event[] => (JSON.parse(trace.text()) as { traceEvents: Event[] }).traceEvents;

it("have an event for every dispatch, one after the other, in the track of its stage", () => {
  let now = 50;
  const trace = new Trace(program, () => now);
  now = 60;
  trace.add(run);
  trace.add(run);
  const made = events(trace);
  const tracks = made.filter(({ ph }) => ph === "M").map(({ args }) => args.name);
  expect(tracks).toEqual(program.plan.stages.map(({ name }) => name));
  const timed = made.filter(({ ph }) => ph === "X");
  expect(timed.length).toBe(2 * run.length);
  // The first run is over at 10 ms after the trace began; the second was added at once, and stands behind it.
  const end = (event: Event): number => event.ts + event.dur;
  expect(end(timed[run.length - 1]!)).toBeCloseTo(10_000, 6);
  for (const [i, event] of timed.slice(1).entries()) expect(event.ts).toBeGreaterThanOrEqual(end(timed[i]!) - 1e-6);
});

it("say which modules and lines a dispatch computes, and what it does", () => {
  const trace = new Trace(program);
  trace.add(run);
  const ofLora = events(trace).find(
    ({ name, args }) => name.includes("q_proj") && String(args.formula).includes("lora.ts:"),
  );
  expect(ofLora!.args).toMatchObject({
    kernel: expect.stringMatching(/^\w+_[0-9a-f]{8}$/),
    modules: expect.stringContaining("model.layers.0.self_attn.q_proj"),
    flops: expect.any(Number),
    bytes: expect.any(Number),
  });
  expect(events(trace).some(({ name }) => name.endsWith("backward"))).toBe(true);
});

it("end where viewers open no more, and say what is left out", () => {
  const trace = new Trace(program);
  const fits = Math.floor(mostEvents / run.length);
  for (let i = 0; i < fits + 2; i++) trace.add(run);
  expect(trace.omitted).toBe(2 * run.length);
  expect(events(trace).filter(({ ph }) => ph === "X").length).toBe(fits * run.length);
});
