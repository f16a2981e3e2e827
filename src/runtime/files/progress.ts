/** Progress of loading, in the shape that users of transformers.js know. */

export interface ProgressEvent {
  /** `initiate`: a file is about to be opened; `progress`: more of it was read; `done`: all of it was. */
  readonly status: "initiate" | "progress" | "done";
  /** The model's name, and the file in its folder. */
  readonly name: string;
  readonly file: string;
  /** Per cent, 0 to 100. */
  readonly progress: number;
  /** Bytes; `total` is 0 as long as it is not known. */
  readonly loaded: number;
  readonly total: number;
}

export type ProgressCallback = (event: ProgressEvent) => void;

/** Reports the bytes of one file: of its download where it is fetched whole, else of its parts as they are read, once each. */
export class FileProgress {
  private loaded = 0;
  private total = 0;
  private isDownload = false;
  private readonly seen = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly file: string,
    private readonly callback: ProgressCallback | undefined,
  ) {
    this.report("initiate");
  }

  readonly download = (loaded: number, total: number): void => {
    this.isDownload = true;
    this.loaded = loaded;
    this.total = Math.max(loaded, total);
    this.report("progress");
  };

  /** The file is open and has this size. */
  opened(size: number): void {
    this.total = size;
    if (this.isDownload) this.report("done");
  }

  /** A part, by a name of its own, was read; reading it again counts nothing. */
  add(part: string, bytes: number): void {
    if (this.isDownload || this.seen.has(part)) return;
    this.seen.add(part);
    this.loaded += bytes;
    this.report("progress");
    if (this.loaded === this.total) this.report("done");
  }

  private report(status: ProgressEvent["status"]): void {
    const { name, file, loaded, total } = this;
    const progress = status === "done" ? 100 : total === 0 ? 0 : (100 * loaded) / total;
    this.callback?.({ status, name, file, progress, loaded, total });
  }
}
