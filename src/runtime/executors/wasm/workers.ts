/**
 * A program on workers, which run it together with the thread that started them, or, in a page, whose main thread may not wait, in its place. Where memory
 * cannot be shared (a page that is not isolated) one worker has the program's memory for itself, which is then written and read by messages.
 */
import { isNode } from "../../files/folder.ts";
import { openPool, type Pool } from "./pool.ts";
import { otherFailed } from "./script.ts";
import type { Answer, Request, SharedProgram } from "./serve.ts";

/** Whether this thread may wait for others, so that it can work with them. */
export const canWait = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
};

let count = 0;

/** A program on workers, one for each of some threads of its team. */
export class Workers {
  private constructor(
    private readonly pool: Pool,
    private readonly id: number,
    private readonly size: number,
  ) {}

  /** Throws what keeps workers from starting, and what is wrong with the program there. */
  static async install(program: SharedProgram, threads: readonly number[]): Promise<Workers> {
    const workers = new Workers(await openPool(threads.length), count++, threads.length);
    try {
      await workers.askAll((worker) => ({ kind: "install", id: workers.id, thread: threads[worker]!, program }));
    } catch (error) {
      void workers.dispose();
      throw error;
    }
    return workers;
  }

  /** Whether one of them is gone. */
  get hasFailed(): boolean {
    return this.pool.hasFailed;
  }

  /** Settles when all have answered: what one of them did wrong is thrown when none works on. */
  private async askAll(requestOf: (worker: number) => Request): Promise<readonly Answer[]> {
    const asked = Array.from({ length: this.size }, (_unused, worker) => this.pool.ask(worker, requestOf(worker)));
    const answers = await Promise.allSettled(asked);
    const failures = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as Error] : []));
    const cause = failures.find(({ message }) => !message.includes(otherFailed)) ?? failures[0];
    if (cause !== undefined) throw cause;
    return Promise.all(asked);
  }

  /** Starts a script on all of them; settles when the last has come to its end. `told` gets the milliseconds of every entry, of the first. */
  async run(script: Int32Array, told?: (entry: number, milliseconds: number) => void): Promise<void> {
    const [first] = await this.askAll(() => ({ kind: "run", id: this.id, script, tells: told !== undefined }));
    for (const [entry, time] of (first!.times ?? []).entries()) told?.(entry, time);
  }

  /** Writes to the memory that the first has for itself. */
  async write(address: number, bytes: Uint8Array): Promise<void> {
    // Of a view a message would hold all that it is a view of.
    await this.pool.ask(0, { kind: "write", id: this.id, address, bytes: bytes.slice() });
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    const { bytes } = await this.pool.ask(0, { kind: "read", id: this.id, address, length });
    return bytes!;
  }

  /** Settles when no worker has the program any more. */
  async dispose(): Promise<void> {
    // Nobody is left to hear that a worker is gone.
    await this.askAll(() => ({ kind: "drop", id: this.id })).catch(() => undefined);
  }
}

/** Whether this is the main thread of a page, which must not compute. */
export const isPage = (): boolean => typeof (globalThis as { document?: unknown }).document === "object";

/** Threads that a program gets here: those of the machine, or fewer; one where memory cannot be shared, as in a page that is not isolated. */
export async function threadsHere(most?: number): Promise<number> {
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;
  if (typeof SharedArrayBuffer === "undefined" || !isIsolated) return 1;
  if (!isNode() && typeof Worker === "undefined") return 1;
  if (most !== undefined) return most;
  const cores = globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism();
  return Math.min(8, cores);
}
