/** Progress of loading, in the shape that users of transformers.js know. */

export interface ProgressEvent {
  /** `initiate`: a file was found; `progress`: more of it was read; `done`: all of it was. */
  readonly status: "initiate" | "progress" | "done";
  /** The model's name, and the file in its folder. */
  readonly name: string;
  readonly file: string;
  /** Per cent, 0 to 100. */
  readonly progress: number;
  /** Bytes. */
  readonly loaded: number;
  readonly total: number;
}

export type ProgressCallback = (event: ProgressEvent) => void;

/** Counts the bytes of one file that were read, once each, and reports them. */
export class FileProgress {
  private loaded = 0;
  private readonly seen = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly file: string,
    private readonly total: number,
    private readonly callback: ProgressCallback | undefined,
  ) {
    this.report("initiate");
  }

  /** A part, by a name of its own, was read; a second reading of it counts nothing. */
  add(part: string, bytes: number): void {
    if (this.seen.has(part)) return;
    this.seen.add(part);
    this.loaded += bytes;
    this.report("progress");
    if (this.loaded === this.total) this.report("done");
  }

  private report(status: ProgressEvent["status"]): void {
    const { name, file, loaded, total } = this;
    this.callback?.({ status, name, file, progress: total === 0 ? 100 : (100 * loaded) / total, loaded, total });
  }
}
