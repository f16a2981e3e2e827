/** What becomes of a command whose stdout cannot be written any more: its reader went away, or the disk behind it is full. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { isDiskFull, systemCode } from "../runtime/files/errors.ts";
import { exitCodes, warn } from "./output.ts";

interface Loss {
  /** What happened, within a sentence. */
  readonly reason: string;
  readonly exitCode: number;
  /** What is told; nothing where a reader has seen enough, as `head` does. */
  readonly error?: WebpeftError;
}

function lossOf(cause: Error): Loss {
  if (systemCode(cause) === "EPIPE") return { reason: "the reader of stdout went away", exitCode: exitCodes.unread };
  const full = isDiskFull(cause);
  const reason = full ? "there is no room for stdout" : "stdout can't be written";
  const error = new WebpeftError(
    full ? "FILE-DISK-FULL" : "FILE-WRITE",
    {
      message: reason,
      where: "stdout",
      got: cause.message,
      help: full ? "free space on the disk, or send stdout elsewhere" : "send stdout elsewhere",
    },
    { cause },
  );
  return { reason, exitCode: exitCodes.failed, error };
}

class StdoutLoss {
  private loss: Loss | undefined;
  private stop: ((reason: string) => void) | undefined;

  /** From now on the first failed write ends the command, unless somebody wants to stop by himself; later ones are its consequences. */
  watch(): void {
    Object.assign(this, { loss: undefined, stop: undefined });
    process.stdout.on("error", (error) => this.lost(error));
    // Nobody is left to be told.
    process.stderr.on("error", () => undefined);
  }

  /** The command does not end by itself from now on: `stop` is called, with what happened. */
  stopsBy(stop: (reason: string) => void): void {
    this.stop = stop;
  }

  /** When the command is over, with this exit code. What is done although its stdout was lost is not done as it was asked for. */
  settle(code: number): number {
    this.stop = undefined;
    return code === exitCodes.done && this.loss !== undefined ? tell(this.loss) : code;
  }

  private lost(error: Error): void {
    if (this.loss !== undefined) return;
    this.loss = lossOf(error);
    if (this.stop !== undefined) this.stop(this.loss.reason);
    else process.exit(tell(this.loss));
  }
}

/** Says what was lost; returns the exit code. */
function tell({ error, exitCode }: Loss): number {
  if (error !== undefined) warn(error.diagnostics);
  return exitCode;
}

/** That of the process. */
export const stdoutLoss = new StdoutLoss();
