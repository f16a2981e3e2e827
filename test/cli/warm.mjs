// Runs commands one after the other in one thread, which has loaded and warmed up all that they need: `warm.ts` asks.
import { workerData } from "node:worker_threads";

const { command, port, done } = workerData;
let runs = 0;

/** What a process would leave to its end, and what was written to a stream. */
function streams() {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    process[name].write = (data, ...more) => {
      written[name] += typeof data === "string" ? data : Buffer.from(data).toString();
      more.find((one) => typeof one === "function")?.();
      return true;
    };
  }
  return written;
}

/** Listeners that are added while `run` runs; they are taken away again. */
async function added(emitter, event, run) {
  const before = new Set(emitter.rawListeners(event));
  await run();
  const listeners = emitter.rawListeners(event).filter((one) => !before.has(one));
  for (const one of listeners) emitter.off(event, one.listener ?? one);
  return listeners.map((one) => one.listener ?? one);
}

port.on("message", async (args) => {
  const written = streams();
  process.argv = [process.execPath, command, ...args];
  process.exitCode = undefined;
  try {
    // A module of another address is another module: the command line is read anew, everything behind it stays.
    const load = () => import(`file://${command}?run=${runs++}`);
    const run = () => added(process.stdout, "error", () => added(process.stderr, "error", load));
    for (const listener of await added(process, "exit", run)) listener(process.exitCode ?? 0);
  } catch (error) {
    written.stderr += `${error?.stack ?? error}\n`;
    process.exitCode = 1;
  }
  port.postMessage({ code: process.exitCode ?? 0, ...written });
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
});
