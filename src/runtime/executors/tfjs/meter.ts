/** Counts the bytes of one instance's tensors, of an engine that has those of others too. */
export class Meter {
  /** Bytes when there were most. */
  most = 0;
  private held = 0;
  private others = 0;

  /** `bytes`: of all tensors of the engine. */
  constructor(private readonly bytes: () => number) {}

  /** Work of the instance; nobody else makes or frees tensors meanwhile. */
  within<T>(work: () => T): T {
    this.others = this.bytes() - this.held;
    try {
      return work();
    } finally {
      this.note();
      this.held = this.bytes() - this.others;
    }
  }

  /** To be called when the work holds much. */
  note(): void {
    this.most = Math.max(this.most, this.bytes() - this.others);
  }
}
