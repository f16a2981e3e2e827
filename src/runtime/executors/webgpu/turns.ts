/**
 * Calls in the order in which they were made. A call runs at once as long as nothing is waited for; while an earlier one waits (for
 * pipelines that its stages need for the first time) all later ones stand behind it.
 */
export class Turns {
  /** Settles when the last call that waits has had its turn; undefined when none does. */
  private last: Promise<unknown> | undefined;

  /** Runs `work` when `ready` is settled (undefined: it is now) and every earlier call has run. */
  take<T>(ready: Promise<unknown> | undefined, work: () => T): T | Promise<T> {
    if (this.last === undefined && ready === undefined) return work();
    const mine = Promise.all([ready, this.last]).then(work);
    // Whether a call failed is its own caller's business.
    const over = Promise.allSettled([this.last, mine]);
    this.last = over;
    void over.then(() => {
      if (this.last === over) this.last = undefined;
    });
    return mine;
  }
}
