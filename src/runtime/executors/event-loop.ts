/** What computes on the thread of its caller lets others come to their turn. */

/** Milliseconds after which the event loop has a turn. */
const longest = 10;

let last = Number.NEGATIVE_INFINITY;

function turn(): Promise<void> {
  return new Promise((done) => {
    if (typeof setImmediate === "function") {
      setImmediate(done);
      return;
    }
    // A timer of a page would wait for milliseconds.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(0);
  });
}

/** Lets timers, messages and frames come to their turn, unless they had it a moment ago. */
export async function eventLoop(): Promise<void> {
  if (performance.now() - last < longest) return;
  await turn();
  last = performance.now();
}

/** The same where there may be a signal: timers come to their turn too, however little time has gone by. Throws the signal's reason. */
export async function unlessStopped(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return eventLoop();
  await new Promise((done) => setTimeout(done));
  signal.throwIfAborted();
}
