/**
 * Calls in the order in which they were made. A call runs at once as long as nothing is waited for; while an earlier one waits (for
 * pipelines that its stages need for the first time) or works on, all later ones stand behind it.
 */
export class Turns {
  /** Settles when the last call that waits or works on is over; undefined when none does. */
  private last: Promise<unknown> | undefined;

  /** Whether a call that is made now runs at once. */
  get areFree(): boolean {
    return this.last === undefined;
  }

  /** Runs `work` when `ready` is settled (undefined: it is now) and every earlier call is over. */
  take<T>(ready: Promise<unknown> | undefined, work: () => T | Promise<T>): T | Promise<T> {
    if (this.last !== undefined || ready !== undefined) return this.follow(Promise.all([ready, this.last]).then(work));
    const made = work();
    return made instanceof Promise ? this.follow(made) : made;
  }

  private follow<T>(mine: Promise<T>): Promise<T> {
    // Whether a call failed is its own caller's business.
    const over = Promise.allSettled([this.last, mine]);
    this.last = over;
    void over.then(() => {
      if (this.last === over) this.last = undefined;
    });
    return mine;
  }
}
