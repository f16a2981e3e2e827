/** Workers that answer late, not at all, or cannot be asked. */
import { expect, it } from "vitest";
import { Pool } from "../../src/runtime/executors/wasm/pool.ts";
import type { Answer, Request } from "../../src/runtime/executors/wasm/serve.ts";

type Port = ConstructorParameters<typeof Pool>[0][number];

const drop: Request = { id: 7, kind: "drop" };

/** A worker whose answers the test gives. */
function worker(post: (request: Request) => void = () => undefined) {
  const seen = { isHeld: false, isClosed: false, tell: (_answer: Answer): void => undefined };
  const port: Port = {
    post,
    listen: (listener) => {
      seen.tell = listener;
    },
    hold: (isHeld) => {
      seen.isHeld = isHeld;
    },
    close: () => {
      seen.isClosed = true;
    },
  };
  return { port, seen };
}

it("gives answers in the order of the requests, and lets the process end when none is left", async () => {
  const { port, seen } = worker();
  const pool = new Pool([port]);
  const asked = [pool.ask(0, drop), pool.ask(0, drop)];
  seen.tell({ id: 7, times: [1] });
  expect(seen.isHeld).toBe(true);
  seen.tell({ id: 7, error: "Error: second" });
  expect(seen.isHeld).toBe(false);
  const [first, second] = await Promise.allSettled(asked);
  expect(first).toMatchObject({ value: { times: [1] } });
  expect(second).toMatchObject({ reason: { message: "Error: second" } });
  expect(pool.hasFailed).toBe(false);
});

it("ends all workers when one is gone, tells everybody who waits, and hears no more of them", async () => {
  const [a, b] = [worker(), worker()];
  const pool = new Pool([a.port, b.port]);
  const asked = [pool.ask(0, drop), pool.ask(1, drop)];
  a.seen.tell({ id: -1, error: "a worker has ended" });
  b.seen.tell({ id: 7 });
  b.seen.tell({ id: -1, error: "another one too" });
  for (const result of await Promise.allSettled(asked))
    expect(result).toMatchObject({ reason: { message: "a worker has ended" } });
  expect([a.seen.isClosed, b.seen.isClosed, pool.hasFailed]).toEqual([true, true, true]);
  await expect(pool.ask(1, drop)).rejects.toThrow("a worker has ended");
});

it("throws what cannot be sent, and goes on", async () => {
  let sent = 0;
  const { port, seen } = worker(() => {
    if (sent++ === 0) throw new Error("cannot be cloned");
  });
  const pool = new Pool([port]);
  await expect(pool.ask(0, drop)).rejects.toThrow("cannot be cloned");
  const asked = pool.ask(0, drop);
  seen.tell({ id: 7, times: [2] });
  expect(await asked).toMatchObject({ times: [2] });
});
