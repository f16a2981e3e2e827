/** Commands in a thread that stays: a process of its own takes half a second to load what this one has. */
import { resolve } from "node:path";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Finished } from "./helpers.ts";

interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly done: Int32Array<SharedArrayBuffer>;
}

let thread: Thread | undefined;

function started(command: string): Thread {
  const { port1, port2 } = new MessageChannel();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(resolve("test/cli/warm.mjs"), {
    workerData: { command, port: port2, done },
    transferList: [port2],
    execArgv: [],
  });
  worker.unref();
  port1.unref();
  return { worker, port: port1, done };
}

/** Runs a command and waits for it, blocking, at most `timeout` milliseconds; then its code is null, as of a process that was killed. */
export function runWarm(command: string, args: readonly string[], timeout: number): Finished {
  thread ??= started(command);
  const { worker, port, done } = thread;
  Atomics.store(done, 0, 0);
  port.postMessage(args);
  Atomics.wait(done, 0, 0, timeout);
  const received = receiveMessageOnPort(port) as { readonly message: Finished } | undefined;
  if (received !== undefined) return received.message;
  void worker.terminate();
  thread = undefined;
  return { code: null, stdout: "", stderr: `no answer within ${timeout} ms` };
}
