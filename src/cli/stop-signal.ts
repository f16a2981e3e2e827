/** Ctrl+C, what job schedulers send, and what a terminal sends when it is closed. */

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** npm and npx forward a signal that the terminal has sent to their whole group already, so one Ctrl+C comes twice. */
const sameRequest = 1000;

/**
 * Calls `stop` once when the process is asked to stop. Who asks again after a second does not want to wait: the process then ends as it would
 * without this. Returns what takes the handlers away.
 */
export function onStopSignal(stop: () => void): () => void {
  let asked: number | undefined;
  const release = (): void => {
    for (const signal of signals) process.off(signal, handle);
  };
  const handle = (signal: NodeJS.Signals): void => {
    if (asked === undefined) {
      asked = performance.now();
      stop();
    } else if (performance.now() - asked > sameRequest) {
      release();
      process.kill(process.pid, signal);
    }
  };
  for (const signal of signals) process.on(signal, handle);
  return release;
}
