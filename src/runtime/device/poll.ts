/**
 * Waiting without burning a core. Dawn in Node asks its event queue again and again from `setImmediate` while a promise is pending.
 * On a software driver the core that it burns is the "GPU". A second loop, interleaved with Dawn's, sleeps a little in each turn.
 */

export type Wait = <T>(promise: Promise<T>) => Promise<T>;

/** Milliseconds to sleep after `elapsed` ms of waiting: short waits stay exact, long ones cost nothing. */
export function sleepTime(elapsed: number): number {
  if (elapsed < 0.25) return 0;
  if (elapsed < 4) return 0.1;
  return elapsed < 40 ? 0.3 : 1;
}

/** Node only: uses `Atomics.wait` on the main thread, which browsers refuse. */
export function sleepingWait(): Wait {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let pending = 0;
  let since = 0;
  let looping = false;

  const turn = (): void => {
    looping = pending > 0;
    if (!looping) return;
    const time = sleepTime(performance.now() - since);
    if (time > 0) Atomics.wait(cell, 0, 0, time);
    setImmediate(turn);
  };

  return async (promise) => {
    if (pending++ === 0) since = performance.now();
    if (!looping) {
      looping = true;
      setImmediate(turn);
    }
    try {
      return await promise;
    } finally {
      pending--;
    }
  };
}
