/** Calls one behind the other, in the order in which they were made, until the queue is closed. */
import { WebpeftError } from "../../ir/diagnostics.ts";

export class CallQueue {
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  /** Runs `work` when all calls before are over, whether they succeeded or not. Throws `SESSION-DISPOSED` once the queue is closed. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(() => this.guarded(work));
    this.last = result.catch(() => undefined);
    return result;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Calls that wait and the one under way fail with `SESSION-DISPOSED`, as do later ones. */
  close(): void {
    this.closed = true;
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    this.requireOpen();
    const value = await work().catch((cause: unknown) => {
      // What it worked on is gone: how that shows differs from executor to executor.
      this.requireOpen(cause);
      throw cause;
    });
    this.requireOpen();
    return value;
  }

  /** Throws `SESSION-DISPOSED` when the queue is closed. */
  requireOpen(cause?: unknown): void {
    if (!this.closed) return;
    throw new WebpeftError(
      "SESSION-DISPOSED",
      { message: "the session is disposed", help: "start another one with program.start()" },
      { cause },
    );
  }
}
